"""`python -m web.cli` is the command `pagefan`."""

import sys

from web.cli.parser import main

sys.exit(main())

"""Which files `pagefan` has written, so that none of a person's is ever written over.

A line for each, as `sha256sum` writes them, in `$XDG_STATE_HOME/pagefan/written` or `~/.local/state/pagefan/written`.
A file whose content is no longer what was written is a person's.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

_writing = threading.Lock()


def state_file() -> Path:
    """By the XDG Base Directory Specification."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "pagefan" / "written"


def remember(path: Path) -> None:
    """Note a file that was just written; without a folder for the notes it counts as a person's."""
    line = f"{digest(path)}  {path.resolve()}\n".encode(errors="surrogateescape")
    try:
        with _writing:
            state_file().parent.mkdir(parents=True, exist_ok=True)
            with state_file().open("ab") as notes:
                notes.write(line)
    except OSError:
        pass  # read-only homes of containers


def is_ours(path: Path) -> bool:
    """Whether the file is what `pagefan` wrote there last, untouched since."""
    try:
        lines = state_file().read_bytes().splitlines()
        name = os.fsencode(path.resolve())
        last = next((line[:64] for line in reversed(lines) if line[66:] == name), b"")
        return bool(last) and last.decode("ascii") == digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

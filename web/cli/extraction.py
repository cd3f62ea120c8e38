"""`pagefan extract`: the values of each page as JSON, with their pages and places."""

from __future__ import annotations

from argparse import Namespace
from typing import cast

from pagefan.answers import ReadOptions
from web.cli.commands import OF_STATE, connect, options_of, print_json, refuse, say


def run_extract(args: Namespace) -> int:
    """Print {page_number, data, values} of each page, or of the document; say why pages have none."""
    try:
        schema = args.schema.read_text()
    except (OSError, ValueError) as exc:
        return refuse(f"{args.schema} cannot be read: {exc}")
    options = cast("ReadOptions", options_of(args))
    with connect(args) as client:
        result = client.extract(args.source, schema, **options)
    if args.scope == "document":
        answer = result.answer
        print_json({"data": answer["data"], "values": answer["values"], "missing_pages": answer["missing_pages"]})
        return OF_STATE[result.job["state"]]
    pages = result.pages
    print_json([{name: page.get(name) for name in ("page_number", "data", "values")} for page in pages])
    for page in pages:
        if page["state"] in ("failed", "cancelled"):
            say(f"No values for page {page['page_number']}: {page['detail'] or page['reason']}")
    return OF_STATE[result.job["state"]]

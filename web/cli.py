"""The `pagefan` command.

Exit codes: 0 complete · 2 wrong usage · 3 partial, some page has no text · 4 failed · 5 cancelled · 6 server away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tasks.keys import FRESH_S, create_key, read_keys, revoke_key
from tasks.services import get_blobs
from tasks.settings import get_settings
from web.client import Client, ClientError, Refused, ServerAway
from web.convert import CANCELLED, FAILED, PARTIAL, Converter
from web.local import demo, run_stack

COMPLETE, USAGE, AWAY = 0, 2, 6
OF_STATE = {"succeeded": COMPLETE, "partial": PARTIAL, "failed": FAILED, "cancelled": CANCELLED}

console = Console(stderr=True, highlight=False)
output = Console(highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = make_parser().parse_args(arguments)
    try:
        code: int = args.run(args)
    except ServerAway as exc:
        console.print(f"{exc}\nIs the server running? `pagefan up` starts one here.", style="red", markup=False)
        return AWAY
    except Refused as exc:
        console.print(str(exc), style="red", markup=False)
        return USAGE if exc.status < 500 else FAILED
    except (ClientError, OSError) as exc:
        console.print(str(exc), style="red", markup=False)
        return FAILED
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pagefan", description="Turn documents into text.", epilog=__doc__.splitlines()[2]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="run Redis, web, workers and Flower on this machine")
    up.set_defaults(run=run_up)

    commands.add_parser("demo").set_defaults(run=run_demo)

    convert = commands.add_parser("convert", help="convert files, folders of files, or URLs")
    convert.add_argument("sources", nargs="+", metavar="FILE|FOLDER|URL")
    convert.add_argument("-o", "--output", metavar="DIR", help="folder for the results [here]; - is standard output")
    convert.add_argument("--format", choices=("md", "json", "txt", "html"), default="md")
    convert.add_argument("--pages", default="", metavar="1-3,7", help="pages to read, -1 is the last [all]")
    convert.add_argument("--dpi", type=int, metavar="N", help="resolution of the page images")
    convert.add_argument("--prompt", default="", metavar="TEXT", help="instructions to the model")
    convert.add_argument("--password", default="", metavar="TEXT", help="opens encrypted PDFs")
    convert.set_defaults(run=run_convert)

    status = commands.add_parser("status", help="show a job; the exit code tells how it ended")
    status.add_argument("job")
    status.set_defaults(run=run_status)

    cancel = commands.add_parser("cancel", help="stop a job")
    cancel.add_argument("job")
    cancel.add_argument("--purge", action="store_true", help="delete it too, with all it made")
    cancel.set_defaults(run=run_cancel)

    retry = commands.add_parser("retry", help="read pages of a job again")
    retry.add_argument("job")
    retry.add_argument("--pages", default="failed", metavar="3,9", help="[the failed ones]")
    retry.add_argument("--dpi", type=int, metavar="N")
    retry.add_argument("--prompt", metavar="TEXT")
    retry.set_defaults(run=run_retry)

    keys = commands.add_parser("keys", help="make, list and revoke API keys, where the server's files are")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and show it, this once")
    create.add_argument("name", help="whom it is for")
    create.set_defaults(run=run_keys_create)
    actions.add_parser("list", help="show the keys, without their secrets").set_defaults(run=run_keys_list)
    revoke = actions.add_parser("revoke", help="let a key open nothing any more")
    revoke.add_argument("id")
    revoke.set_defaults(run=run_keys_revoke)

    settings = get_settings()
    server, key = f"http://{settings.web_host}:{settings.web_port}", settings.api_keys.partition(",")[0].strip()
    for command in (convert, status, cancel, retry):
        command.add_argument("--server", default=server, metavar="URL", help=f"[{server}]")
        command.add_argument("--key", default=key, help="API key [the first of API_KEYS]")
    return parser


def run_up(_: argparse.Namespace) -> int:
    return run_stack()


def run_demo(_: argparse.Namespace) -> int:
    """`make demo`: convert the sample on a stack that lives as long."""
    return demo()


def run_convert(args: argparse.Namespace) -> int:
    options = {"pages": args.pages, "dpi": args.dpi or "", "prompt": args.prompt, "password": args.password}
    folder = None if args.output == "-" else Path(args.output or ".")
    with Client(args.server, args.key) as client:
        converter = Converter(client, console, output, folder=folder, format=args.format, options=options)
        return converter.run(args.sources)


def run_status(args: argparse.Namespace) -> int:
    """0 while the job is not over, too."""
    with Client(args.server, args.key) as client:
        job = client.status(args.job)
    pages = job["pages"]
    read = pages["ok"] + pages["blank"] + pages["fallback"]
    output.print(f"{job['name']}: {job['state']}, {read} of {pages['total']} pages read", markup=False)
    for name in ("missing_pages", "fallback_pages"):
        if job[name]:
            numbers = ", ".join(map(str, job[name]))
            output.print(f"{name.replace('_', ' ')}: {numbers}", markup=False)
    if job["error"]:
        output.print(job["error"]["detail"], markup=False)
    return OF_STATE.get(job["state"], COMPLETE)


def run_cancel(args: argparse.Namespace) -> int:
    with Client(args.server, args.key) as client:
        job = client.cancel(args.job, purge=args.purge)
    output.print(f"{args.job}: {job['state'] if job else 'deleted'}", markup=False)
    return COMPLETE


def run_retry(args: argparse.Namespace) -> int:
    options = {name: value for name in ("dpi", "prompt") if (value := getattr(args, name)) is not None}
    with Client(args.server, args.key) as client:
        job = client.retry(args.job, args.pages, **options)
        converter = Converter(client, console, output, folder=None, format="md", options={})
        return converter.follow([job])


def run_keys_create(args: argparse.Namespace) -> int:
    key, text = create_key(args.name, get_blobs())
    output.out(text)
    console.print(f"This is key {key.id}, for {key.name}. It is shown only now; BLOB_URL keeps its hash.", markup=False)
    return COMPLETE


def run_keys_list(_: argparse.Namespace) -> int:
    for key in read_keys(get_blobs()):
        made = datetime.fromtimestamp(key.created_at, UTC).date()
        state = "in use" if key.revoked_at is None else f"revoked {datetime.fromtimestamp(key.revoked_at, UTC).date()}"
        output.out(f"{key.id}  {made}  {state}  {key.name}")
    return COMPLETE


def run_keys_revoke(args: argparse.Namespace) -> int:
    key = revoke_key(args.id, get_blobs())
    if key is None:
        console.print(f"There is no key {args.id}; `pagefan keys list` shows them.", style="red", markup=False)
        return USAGE
    output.out(f"Key {key.id}, for {key.name}, is revoked; servers notice within {FRESH_S:g} s.")
    return COMPLETE


if __name__ == "__main__":
    sys.exit(main())

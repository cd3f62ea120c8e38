"""`pagefan keys`: API keys are made, listed and revoked where the server's files are."""

from __future__ import annotations

import argparse
from argparse import Namespace
from datetime import UTC, datetime

from tasks.access.keys import FRESH_S, create_key, read_keys, revoke_key
from tasks.services import get_blobs
from tasks.settings import get_settings
from web.cli.commands import COMPLETE, print_line, refuse, say


def add_keys(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    keys = actions.add_parser("keys", help="make, list and revoke API keys, where the server's files are")
    of_keys = keys.add_subparsers(required=True, metavar="ACTION")
    create = of_keys.add_parser("create", help="make a key and show it, this once")
    create.add_argument("name", help="whom it is for")
    create.add_argument("--admin", action="store_true", help="it also opens the system page")
    create.set_defaults(run=run_keys_create)
    of_keys.add_parser("list", help="show the keys, without their secrets").set_defaults(run=run_keys_list)
    revoke = of_keys.add_parser("revoke", help="let a key open nothing any more")
    revoke.add_argument("id")
    revoke.set_defaults(run=run_keys_revoke)


def run_keys_create(args: Namespace) -> int:
    key, text = create_key(args.name, get_blobs(), is_admin=args.admin)
    print_line(text)
    say(f"This is key {key.id}, for {key.name}. It is shown only now; BLOB_URL keeps its hash.")
    return COMPLETE


def run_keys_list(_: Namespace) -> int:
    keys = read_keys(get_blobs())
    if not keys:
        say(f"There are no keys in {get_settings().blob_url}; `pagefan keys create NAME` makes one.")
    for key in keys:
        made = datetime.fromtimestamp(key.created_at, UTC).date()
        state = "in use" if key.revoked_at is None else f"revoked {datetime.fromtimestamp(key.revoked_at, UTC).date()}"
        print_line(f"{key.id}  {made}  {state}  {key.name}" + ("  (admin)" if key.is_admin else ""))
    return COMPLETE


def run_keys_revoke(args: Namespace) -> int:
    key = revoke_key(args.id, get_blobs())
    if key is None:
        return refuse(f"There is no key {args.id}; `pagefan keys list` shows them.")
    print_line(f"Key {key.id}, for {key.name}, is revoked; servers notice within {FRESH_S:g} s.")
    return COMPLETE

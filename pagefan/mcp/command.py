"""`pagefan mcp`, and `pagefan-mcp` where only the client is installed."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib import import_module
from importlib.util import find_spec

from pagefan.aclient import AsyncClient

LOOPBACK = "127.0.0.1"
NO_SDK = 'The package `mcp` is not installed; `pip install "pagefan[mcp]"` brings it.\n'
FAILED = 4


def main() -> int:
    """The command of the client's own distribution."""
    parser = argparse.ArgumentParser(prog="pagefan-mcp", description="Serve Pagefan's tools to assistants over MCP.")
    add_options(parser)
    parser.add_argument("--server", default=os.environ.get("PAGEFAN_URL") or "http://127.0.0.1:8000", metavar="URL")
    parser.add_argument("--key", default=os.environ.get("PAGEFAN_API_KEY", ""), help="[PAGEFAN_API_KEY]")
    return run(parser.parse_args())


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", type=int, metavar="PORT", help=f"streamable HTTP at {LOOPBACK}:PORT/mcp [stdio]")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="another name that clients reach --http by"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until the assistant closes standard input, or until Ctrl-C; an exit code."""
    if find_spec("mcp") is None:
        sys.stderr.write(NO_SDK)
        return FAILED
    asyncio.run(serve(args))
    return 0


async def serve(args: argparse.Namespace) -> None:
    """One server for one user: all calls go out with the key that it was started with."""
    module = import_module("pagefan.mcp.server")  # needs the package `mcp`, which few who have the client want
    async with AsyncClient(args.server, args.key) as client:
        if args.http is None:
            await module.make_server(client, may_read_files=True).run_stdio_async()
            return
        server = module.make_server(client, may_read_files=False)
        await server.run_streamable_http_async(host=LOOPBACK, port=args.http, **module.http_options(args.allow_host))

"""The `pagefan` command.

Exit codes: 0 complete · 2 wrong usage · 3 partial, some page has no text · 4 failed · 5 cancelled · 6 server away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import shtab

from pagefan.answers import ClientError, Refused, ServerAway
from pagefan.mcp import command as mcp_command
from tasks.settings import SettingsError, get_settings
from web.cli import commands, extraction
from web.cli.commands import console, refuse
from web.cli.convert import AWAY, FAILED, USAGE
from web.cli.engines import run_engines
from web.cli.faults import IS_IT_RUNNING
from web.cli.keys import add_keys
from web.cli.lists import add_choice, run_jobs, run_reindex
from web.cli.options import add_labels, add_options
from web.cli.results import run_open, run_result
from web.cli.terminal import say
from workers.results.formats import FORMATS

NO_KEY = "This server asks for a key, or for another one: name it with --key, or in PAGEFAN_API_KEY."
BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        args = make_parser().parse_args(arguments)
        code: int = args.run(args)
    except SettingsError as exc:
        return refuse(str(exc))
    except ServerAway as exc:
        say(console, f"{exc}\n{IS_IT_RUNNING}", style="red")
        return AWAY
    except Refused as exc:
        say(console, NO_KEY if exc.kind == "unauthorized" else str(exc), style="red")
        return USAGE if exc.status < 500 else FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at its end
        return BROKEN_PIPE
    except (ClientError, OSError) as exc:
        say(console, str(exc), style="red")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pagefan", description="Turn documents into text.", epilog=__doc__.splitlines()[2]
    )
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    parser.add_argument("--version", action="version", version=f"pagefan {version('pagefan')}")
    add_up(actions)
    demo = actions.add_parser("demo", help="convert a sample on a stack that lives as long")
    demo.set_defaults(run=commands.run_demo)
    of_server = [*add_reading(actions), *add_following(actions), add_mcp(actions)]
    add_keys(actions)
    reindex = actions.add_parser("reindex", help="make the full-text index anew, where the server's files are")
    reindex.set_defaults(run=run_reindex)
    engines = actions.add_parser("engines", help="what can read pages, and what is known of models")
    engines.add_argument("--json", action="store_true", help="all of it as JSON")
    engines.set_defaults(run=run_engines)
    completion = actions.add_parser("completion", help="print what a shell completes `pagefan` with")
    completion.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    completion.set_defaults(run=lambda args: commands.run_completion(shtab.complete(parser, args.shell)))
    settings = get_settings()
    server = os.environ.get("PAGEFAN_URL") or f"http://{settings.web_host}:{settings.web_port}"
    key = os.environ.get("PAGEFAN_API_KEY") or settings.api_keys.partition(",")[0].strip()
    for command in of_server:
        command.add_argument("--server", default=server, type=address, metavar="URL", help=f"PAGEFAN_URL [{server}]")
        command.add_argument("--key", default=key, help="API key [PAGEFAN_API_KEY, or the first of API_KEYS]")
    return parser


def add_up(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = actions.add_parser(
        "up",
        help="run Redis, web, workers and Flower here",
        description="Run all of Pagefan on this machine until Ctrl-C: Redis, the web server, a CPU worker, "
        "GPU workers, Flower. Jobs, results and logs stay in the data folder. Every setting of the README's "
        "table is read from the environment, as in `GPU_WORKERS=2 pagefan up`.",
    )
    up.add_argument("--data-dir", default="data", metavar="DIR", help="where jobs, results and logs are [./data]")
    up.add_argument("--port", type=int, metavar="N", help="of the web server; 0 takes a free one [WEB_PORT, or 8000]")
    up.add_argument("--engine", metavar="NAME", help="what reads pages; `pagefan engines` lists them [ENGINE, or ocr]")
    up.set_defaults(run=commands.run_up)


def address(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not urlsplit(text).hostname:
        raise argparse.ArgumentTypeError(f"{text} is no address such as http://127.0.0.1:8000 (PAGEFAN_URL, --server)")
    return text


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def add_reading(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """The commands that send documents."""
    convert = actions.add_parser("convert", help="convert files, folders of files, URLs, or standard input")
    convert.add_argument("sources", nargs="+", metavar="FILE|FOLDER|URL|-")
    convert.add_argument("-o", "--output", metavar="DIR", help="folder for the results [here]; - is standard output")
    convert.add_argument("--json", action="store_true", help="a line of JSON for each document instead of its path")
    convert.add_argument(
        "--attachments", action="store_true", default=None, help="also the PDFs and images within PDFs"
    )
    convert.add_argument("--name", metavar="NAME", help="what the document of standard input is called")
    add_overwrite(convert)
    convert.set_defaults(run=commands.run_convert)

    ask = actions.add_parser("ask", help="ask about each page of a file or a URL, or about all of it")
    ask.add_argument("source", metavar="FILE|URL")
    ask.add_argument("question")
    ask.add_argument("--json", action="store_true", help="the answers as JSON")
    ask.set_defaults(run=commands.run_ask)

    extract = actions.add_parser(
        "extract", help="take the values that a JSON schema asks for from each page or the document"
    )
    extract.add_argument("source", metavar="FILE|URL")
    extract.add_argument("schema", metavar="SCHEMA.json", type=Path)
    extract.set_defaults(run=extraction.run_extract)

    watch = actions.add_parser("watch", help="convert the files of a folder, and those that come")
    watch.add_argument("folder", metavar="FOLDER")
    watch.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the results")
    watch.set_defaults(run=commands.run_watch)

    for command in (convert, watch):
        command.add_argument("--format", choices=tuple(FORMATS), default="md")
        command.add_argument("--task", choices=("transcribe", "describe"), help="read each page, or describe it")
    for command in (ask, extract):
        command.add_argument(
            "--scope", choices=("page", "document"), help="each page by itself [page], or one answer for the document"
        )
    for command in (convert, ask, extract, watch):
        add_options(command)
    return [convert, ask, extract, watch]


def add_overwrite(command: argparse.ArgumentParser) -> None:
    choice = command.add_mutually_exclusive_group()
    choice.add_argument("--overwrite", action="store_true", help="replace files that are there, whoever wrote them")
    choice.add_argument(
        "--no-clobber", dest="overwrite", action="store_false", help="only those that pagefan wrote itself [so]"
    )


def add_following(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """The commands for jobs that are there."""
    status = actions.add_parser("status", help="show a job; the exit code tells how it ended")
    status.add_argument("job")
    status.add_argument("--wait", action="store_true", help="until it has ended")
    status.add_argument("--json", action="store_true", help="the whole record as JSON")
    status.set_defaults(run=commands.run_status)

    jobs = actions.add_parser("jobs", help="list jobs, the newest first, or find some")
    jobs.add_argument("--limit", type=at_least_one, default=20, metavar="N", help="[20]")
    add_choice(jobs)
    add_labels(jobs, "those with this value", "those with this tag")
    jobs.add_argument("--json", action="store_true", help="their records as JSON")
    jobs.set_defaults(run=run_jobs)

    cancel = actions.add_parser("cancel", help="stop a job")
    cancel.add_argument("job")
    cancel.add_argument("--purge", action="store_true", help="delete it too, with all it made")
    cancel.set_defaults(run=commands.run_cancel)

    retry = actions.add_parser("retry", help="read pages of a job again")
    retry.add_argument("job")
    retry.add_argument("--pages", default="failed", metavar="3,9", help="[the failed ones]")
    retry.add_argument("--language", metavar="deu+fra")
    retry.add_argument("--engine", metavar="NAME", help="another engine of the server")
    retry.add_argument("--dpi", type=int, metavar="N")
    retry.add_argument("--prompt", metavar="TEXT")
    retry.add_argument("--max-new-tokens", type=int, metavar="N")
    retry.add_argument("--temperature", type=float, metavar="T")
    retry.add_argument("--password", metavar="TEXT", help="opens the encrypted PDF; named anew for each retry")
    retry.set_defaults(run=commands.run_retry)

    result = actions.add_parser("result", help="write what was read of a job, in any format")
    result.add_argument("job")
    result.add_argument("--format", choices=tuple(FORMATS), default="md")
    result.add_argument("-o", "--output", metavar="FILE|DIR", help="[standard output]")
    result.add_argument("--wait", action="store_true", help="until the job has ended")
    add_overwrite(result)
    result.set_defaults(run=run_result)

    show = actions.add_parser("open", help="show a job in the browser")
    show.add_argument("job")
    show.set_defaults(run=run_open)
    return [status, jobs, cancel, retry, result, show]


def add_mcp(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    mcp = actions.add_parser("mcp", help="give assistants tools to read documents, over MCP")
    mcp_command.add_options(mcp)
    mcp.set_defaults(run=mcp_command.run)
    return mcp

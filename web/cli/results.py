"""Results of jobs that are there: `pagefan result` and `pagefan open`."""

from __future__ import annotations

import sys
import webbrowser
from argparse import Namespace
from pathlib import Path

from pagefan.client import Client, check_readable
from pagefan.records import Job
from web.cli.commands import COMPLETE, OF_STATE, connect, print_line, refuse
from web.cli.places import Places
from web.cli.terminal import put
from web.cli.written import remember
from workers.results.formats import FORMATS


def run_result(args: Namespace) -> int:
    """Write one result to standard output, or with -o to a file or into a folder; the exit code is the job's."""
    to_output = args.output in (None, "-")
    if to_output and not FORMATS[args.format].is_text and sys.stdout.isatty():
        return refuse(f"A {args.format} is no text for a terminal; name a file with -o, or redirect the output.")
    with connect(args) as client:
        job = client.wait(args.job) if args.wait else client.status(args.job)
        if job["state"] == "cancelled":
            return refuse(f"{job['name']} was cancelled; `pagefan retry {args.job} --pages 1-` reads it.")
        if job["state"] in ("succeeded", "partial", "failed"):
            check_readable(job)
        if to_output:
            put(client.content(args.job, args.format))
        elif code := save(client, job, args):
            return code
    return OF_STATE.get(job["state"], COMPLETE)


def save(client: Client, job: Job, args: Namespace) -> int:
    output, suffix = Path(args.output), FORMATS[args.format].suffix
    places = Places(overwrite=args.overwrite)
    path = places.find(output, Path(job["name"]).stem, suffix) if output.is_dir() else output
    if not places.overwrite and path == output and not places.is_free(path):
        return refuse(f"{path} is there, and pagefan has not written it; --overwrite replaces it.")
    client.download(args.job, args.format, path)
    remember(path)
    print_line(str(path))
    return COMPLETE


def run_open(args: Namespace) -> int:
    """Show a job in the browser; its address is printed too, for machines without one."""
    with connect(args) as client:
        job = client.status(args.job)
    address = f"{args.server.rstrip('/')}/jobs/{job['id']}"
    print_line(address)
    webbrowser.open(address)
    return COMPLETE

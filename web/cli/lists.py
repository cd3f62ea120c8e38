"""`pagefan jobs`, which lists jobs and finds them, and `pagefan reindex`, which makes anew what finds them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from itertools import islice
from typing import cast, get_args

from pagefan.answers import Wanted
from tasks.indexing import reindex
from tasks.messages import JobState
from web.cli.commands import COMPLETE, connect, labels_of, num_read, print_json, print_line, refuse
from web.cli.convert import FAILED

CHOICE = {"search": "q", "state": "state", "engine": "engine", "since": "since", "until": "until", "batch": "batch_id"}


def add_choice(jobs: ArgumentParser) -> None:
    jobs.add_argument("--search", metavar="WORDS", help="those with this in their name, or all words on one page")
    jobs.add_argument("--state", action="append", choices=get_args(JobState), help="in this state; may be given again")
    jobs.add_argument("--engine", metavar="NAME", help="those with a page that it has read")
    jobs.add_argument("--since", metavar="DATE", help="sent on this day or later; or a time, in ISO 8601")
    jobs.add_argument("--until", metavar="DATE", help="sent on this day or before; or before a time")
    jobs.add_argument("--batch", metavar="ID", help="those of one batch")


def run_jobs(args: Namespace) -> int:
    wanted = wanted_of(args)
    with connect(args) as client:
        whole_batch = list(wanted) == ["batch_id"]  # in the order in which it came, and refused where there is none
        at_once = min(args.limit, 200)
        found = client.batch(args.batch)["jobs"] if whole_batch else client.iter_jobs(at_once=at_once, **wanted)
        jobs = list(islice(found, args.limit))
    if args.json:
        print_json(jobs)
        return COMPLETE
    for job in jobs:
        sent = job["timings"]["created_at"][:19].replace("T", " ")
        pages = f"{num_read(job)}/{job['pages']['total']}"
        print_line(f"{job['id']}  {sent}  {job['state']:<10}  {pages:>9}  {job['name']}")
    return COMPLETE


def wanted_of(args: Namespace) -> Wanted:
    """Which jobs are to be listed."""
    given = {name: getattr(args, option) for option, name in CHOICE.items() if getattr(args, option)}
    return cast("Wanted", given | labels_of(args))


def run_reindex(_: Namespace) -> int:
    """On the machine that has the server's files; the server may go on meanwhile."""
    try:
        done, failed = reindex()
    except ValueError as exc:
        return refuse(f"{exc}.")
    print_line(f"{done} jobs can be found by their text" + (f", {failed} could not be read" if failed else ""))
    return FAILED if failed else COMPLETE

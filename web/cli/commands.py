"""What the commands of `pagefan` do; each returns its exit code."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from pagefan.answer_record import Answer
from pagefan.answers import Labels, Options, ReadOptions
from pagefan.client import Client
from pagefan.records import Job, JobSummary
from web.cli import terminal
from web.cli.convert import CANCELLED, FAILED, PARTIAL, USAGE, Converter
from web.cli.documents import STDIN
from web.cli.local import demo, run_stack
from web.cli.terminal import add_bar, progress_bars, put, show
from web.cli.watch import Watcher
from workers.documents.selection import in_ranges
from workers.results.answer import notes_of
from workers.results.formats import FORMATS

COMPLETE = 0
OF_STATE = {"succeeded": COMPLETE, "partial": PARTIAL, "failed": FAILED, "cancelled": CANCELLED}
OPTIONS = (
    "task", "prompt", "pages", "language", "engine", "dpi", "max_new_tokens", "temperature", "text_layer", "priority",
    "password", "webhook_url", "webhook_events", "webhook_format", "attachments", "batch_id", "target_url",
    "target_formats", "scope",
)  # fmt: skip

console = Console(stderr=True, highlight=False)


def run_up(args: Namespace) -> int:
    """What is named on the line goes before the environment."""
    named = {"WEB_PORT": args.port, "ENGINE": args.engine}
    return run_stack(Path(args.data_dir), {key: str(value) for key, value in named.items() if value is not None})


def run_demo(_: Namespace) -> int:
    """`make demo`: convert the sample on a stack that lives as long."""
    return demo()


def run_completion(script: str) -> int:
    print_line(script)
    return COMPLETE


def run_convert(args: Namespace) -> int:
    output = args.output or ("-" if args.sources == [STDIN] else ".")
    folder = None if output == "-" else Path(output)
    if folder is None and not FORMATS[args.format].is_text and sys.stdout.isatty():
        return refuse(f"A {args.format} is no text for a terminal; name a folder with -o, or redirect the output.")
    if folder is None and args.json:
        return refuse("With -o - the output is the text, so that there is no room for --json.")
    with connect(args) as client:
        converter = Converter(
            client,
            console,
            folder=folder,
            format=args.format,
            options=options_of(args),
            as_json=args.json,
            overwrite=args.overwrite,
            name=args.name or "",
        )
        return converter.run(args.sources)


def run_ask(args: Namespace) -> int:
    """Print the answer; unless the document as a whole is asked about, that of each of its pages."""
    options, sent = cast("ReadOptions", options_of(args)), []
    with connect(args) as client, progress_bars(console) as progress:
        bar = add_bar(progress, args.source, "sending")

        def follow(job: Job) -> None:
            sent.append(job["id"])
            show(progress, bar, job)

        try:
            result = client.ask(args.source, args.question, on_progress=follow, **options)
        except KeyboardInterrupt:
            if sent:
                client.cancel(sent[-1])
            return CANCELLED
    if args.scope == "document":
        print_answer(result.answer, as_json=args.json)
        return OF_STATE[result.job["state"]]
    pages = result.pages
    if args.json:
        print_json([{"page_number": page["page_number"], "answer": page["text"]} for page in pages])
        return OF_STATE[result.job["state"]]
    for page in pages:
        if page["state"] in ("failed", "cancelled"):
            say(f"No answer for page {page['page_number']}: {page['detail'] or page['reason']}")
        else:
            head = f"Page {page['page_number']}: " if len(pages) > 1 else ""
            put(f"{head}{page['text'].strip()}\n".encode())
    return OF_STATE[result.job["state"]]


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """The text of an answer on standard output, and what to know of it beside."""
    if as_json:
        print_json(answer)
        return
    print_line(answer["text"])
    for note in notes_of(answer):
        say(note)


def run_watch(args: Namespace) -> int:
    folder, output = Path(args.folder), Path(args.output)
    if not folder.is_dir():
        return refuse(f"{folder} is no folder.")
    if output.resolve() == folder.resolve():
        return refuse("Results need a folder of their own; name another with -o.")
    with connect(args) as client:
        return Watcher(client, console, folder.resolve(), output.resolve(), args.format, options_of(args)).run()


def run_status(args: Namespace) -> int:
    """0 while the job is not over, too."""
    with connect(args) as client:
        job = client.status(args.job)
        if args.wait:
            with progress_bars(console) as progress:
                bar = add_bar(progress, job["name"], job["state"])
                job = client.wait(args.job, on_change=lambda now: show(progress, bar, now))
    if args.json:
        print_json(job)
    else:
        describe_job(job)
    return OF_STATE.get(job["state"], COMPLETE)


def describe_job(job: Job) -> None:
    print_line(f"{job['name']}: {job['state']}, {num_read(job)} of {job['pages']['total']} pages read")
    for key, value in job["metadata"].items():
        print_line(f"{key}: {value}")
    if job["tags"]:
        print_line(f"tags: {', '.join(job['tags'])}")
    for name in ("missing_pages", "fallback_pages", "pages_to_look_at"):
        if job[name]:
            print_line(f"{name.replace('_', ' ')}: {in_ranges(job[name])}")
    if job["error"]:
        print_line(job["error"]["detail"])


def run_cancel(args: Namespace) -> int:
    with connect(args) as client:
        job = client.cancel(args.job, purge=args.purge)
    print_line(f"{args.job}: {job['state'] if job else 'deleted'}")
    return COMPLETE


def run_retry(args: Namespace) -> int:
    names = ("language", "engine", "dpi", "prompt", "max_new_tokens", "temperature", "password")
    changes: Any = {name: value for name in names if (value := getattr(args, name)) is not None}
    with connect(args) as client:
        job = client.retry(args.job, args.pages, **changes)
        return Converter(client, console, folder=None, format="md", options={}).follow([job])


def connect(args: Namespace) -> Client:
    return Client(args.server, args.key, retry_s=0)  # a person decides when to try again


def options_of(args: Namespace) -> Options:
    """The options of the job that were given."""
    given = {name: getattr(args, name, None) for name in OPTIONS}
    return cast("Options", {name: value for name, value in given.items() if value not in (None, "")} | labels_of(args))


def labels_of(args: Namespace) -> Labels:
    """The tags and the metadata that were given."""
    labels: Labels = {}
    if args.tag:
        labels["tags"] = args.tag
    if args.meta:
        labels["metadata"] = dict(args.meta)
    return labels


def num_read(job: JobSummary) -> int:
    pages = job["pages"]
    return int(pages["ok"] + pages["blank"] + pages["fallback"])


def print_line(text: str) -> None:
    put(f"{text}\n".encode(errors="replace"))


def print_json(value: Any) -> None:
    print_line(json.dumps(value, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    terminal.say(console, text)


def refuse(words: str) -> int:
    terminal.say(console, words, style="red")
    return USAGE

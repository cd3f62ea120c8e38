"""The options of a job on the command line."""

from __future__ import annotations

import argparse


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--pages", metavar="1-3,7", help="pages to read, -1 is the last [all]")
    command.add_argument("--language", metavar="deu+fra", help="what the pages are written in; auto by their script")
    command.add_argument("--engine", metavar="NAME", help="what reads the pages, of the server's engines [its own]")
    command.add_argument("--dpi", type=int, metavar="N", help="resolution of the page images")
    command.add_argument("--prompt", metavar="TEXT", help="instructions to the model")
    command.add_argument("--max-new-tokens", type=int, metavar="N", help="longest answer for a page")
    command.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token [0]")
    command.add_argument(
        "--text-layer",
        choices=("auto", "ignore", "prefer", "fallback"),
        help="when a PDF's own text is used: where the print agrees, never, as auto for whole pages, on failure",
    )
    command.add_argument("--priority", choices=("low", "normal", "high"), help="against your other jobs [normal]")
    command.add_argument("--password", metavar="TEXT", help="opens encrypted PDFs")
    command.add_argument("--webhook-url", metavar="URL", help="called when a job has ended")
    command.add_argument("--webhook-events", metavar="job,page,batch", help="what it is called for [job]")
    command.add_argument("--webhook-format", choices=("standard", "cloudevents"), help="form of its calls [standard]")
    command.add_argument(
        "--target-url", metavar="URL", help="where the server writes results, as s3://out/{stem}.{suffix}"
    )
    command.add_argument("--target-formats", metavar="md,json", help="which it writes there [md]")
    command.add_argument("--batch-id", metavar="ID", help="puts the jobs into one batch")
    add_labels(command, "given back with the job; may be given again", "to find the jobs by; may be given again")


def add_labels(command: argparse.ArgumentParser, of_meta: str, of_tag: str) -> None:
    command.add_argument("--meta", action="append", type=pair, metavar="KEY=VALUE", help=of_meta)
    command.add_argument("--tag", action="append", metavar="TAG", help=of_tag)


def pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise argparse.ArgumentTypeError(f"write it as KEY=VALUE, not {text!r}")
    return key, value

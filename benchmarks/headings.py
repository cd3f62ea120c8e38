"""Headings of PDFs that are made here from READMEs, and of LaTeX papers by their own outlines: found, and how deep.

    python -m benchmarks.headings [--papers FOLDER] [--drawn] [--limit 24] [--keep FOLDER] [--each]

READMEs are the descriptions in Markdown of the packages that are installed, printed by a headless Chromium in three
styles; their truth is their Markdown. Papers are PDFs in FOLDER with bookmarks, as LaTeX's hyperref makes them: the
vignettes of Debian's `r-cran-…` packages are such. Their truth is their outline, and the abstract and the references
that an outline may leave out count neither way. With `--drawn` the pages are drawn at 150 dpi and read.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from statistics import mean

from markdown_it import MarkdownIt

from benchmarks.report import publish, table
from benchmarks.truth import Reader, mean_of
from benchmarks.truth_scores import HEADING, HTML_HEADING, score, unify
from tasks.settings import get_settings
from workers.documents.pdf import open_pdf
from workers.engines.registry import load_engine
from workers.layout.pages import warm_up

LEAST_HEADS, MOST_CHARS = 5, 16_000  # of a README
MOST_PAGES = 30  # of a paper
CHROMIUM = ("chromium", "google-chrome", "chrome")
STYLES = {
    "github": """body{font:16px/1.5 sans-serif;margin:2em} h1,h2{border-bottom:1px solid #ccc}
        h1{font-size:2em} h2{font-size:1.5em} h3{font-size:1.25em} h4,h5,h6{font-size:1em}
        pre{background:#f6f8fa;padding:1em;white-space:pre-wrap}
        table,td,th{border:1px solid #ccc;border-collapse:collapse}""",
    "serif": "body{font:12pt/1.4 serif;margin:1cm 2cm} pre{white-space:pre-wrap;font-size:10pt}",
    "plain": """body{font:11pt/1.3 sans-serif} h1{font-size:18pt} h2{font-size:14pt;color:#25a} h3{font-size:11pt}
        h4,h5,h6{font-size:11pt;font-style:italic} pre{white-space:pre-wrap}""",
}
OPTIONAL = re.compile(r"(?:abstract|references|bibliography|contents|acknowledge?ments?)\W*", re.IGNORECASE)
FENCED = re.compile(r"(?ms)^(`{3,})[^`\n]*\n.*?^\1$|<pre>.*?</pre>")
PARSER = MarkdownIt("commonmark").enable("table")


def readmes(limit: int) -> Iterator[tuple[str, str]]:
    """Names and descriptions, by name, of packages whose description is Markdown with headings."""
    found = {}
    for each in distributions():
        about = each.metadata.json
        text = str(about.get("description", ""))
        is_markdown = "markdown" in str(about.get("description_content_type", "")).lower()
        if is_markdown and len(text) <= MOST_CHARS and len(HTML_HEADING.findall(truth_of(text))) >= LEAST_HEADS:
            found[str(about["name"])] = text
    yield from sorted(found.items())[:limit]


def truth_of(markdown: str) -> str:
    """What a browser shows of a README, as HTML without pictures."""
    return re.sub(
        r"(?i)<(?:img|picture|source)\b[^>]*>", "", PARSER.render(markdown).replace("<details>", "<details open>")
    )


def print_pdf(html: str, style: str, path: Path) -> None:
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise SystemExit("Chromium is needed to print the READMEs; install it, or give --papers only.")
    page = path.with_suffix(".html")
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLES[style]}</style>{html}")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        command += [f"--user-data-dir={profile}", f"--print-to-pdf={path}", page.as_uri()]
        subprocess.run(command, capture_output=True, timeout=120, check=True)


def make_readmes(folder: Path, limit: int) -> Iterator[tuple[str, Path, Path]]:
    """Set, PDF and truth of each; the styles take turns. What the folder has already is not made again."""
    for number, (name, text) in enumerate(readmes(limit)):
        style = list(STYLES)[number % len(STYLES)]
        path, truth = folder / f"{name}.pdf", folder / f"{name}.truth.md"
        truth.write_text(FENCED.sub(without_marks, truth_of(text)))
        if not path.exists():
            print_pdf(truth_of(text), style, path)
        yield f"READMEs ({style})", path, truth


def make_papers(folder: Path, papers: Path, limit: int) -> Iterator[tuple[str, Path, Path]]:
    """The PDFs that have an outline of several entries, with that as their truth."""
    for path in sorted(papers.glob("*.pdf"))[: 4 * limit]:
        document = open_pdf(path, "")
        outline = [(level, unify(title)) for level, title, *_ in document.get_toc() if title.strip()]
        if len(outline) < LEAST_HEADS or document.page_count > MOST_PAGES or limit <= 0:
            continue
        limit -= 1
        truth = folder / f"{path.stem}.truth.md"
        text = " ".join(page.get_text() for page in document)
        heads = [f"{'#' * level} {title}" for level, title in outline]
        truth.write_text("\n\n".join([*heads, text.replace("#", " ")]))
        yield "papers", path, truth


def without_optional(markdown: str, truth: str) -> str:
    """The result without the headings that an outline may leave out, where it does; and without the title."""
    wanted = {unify(text).lower() for _, text in HEADING.findall(truth)}
    lines = markdown.split("\n")
    first = next((i for i, line in enumerate(lines) if HEADING.match(line)), -1)

    def is_left_out(i: int, line: str) -> bool:
        match = HEADING.match(line)
        text = unify(match[2]).lower() if match else ""
        return match is not None and text not in wanted and (i == first or OPTIONAL.fullmatch(text) is not None)

    return "\n".join(line.lstrip("# ") if is_left_out(i, line) else line for i, line in enumerate(lines))


def without_marks(code: re.Match[str]) -> str:
    """A listing without the marks that begin its comments: the ruler takes them for headings."""
    return re.sub(r"(?m)^([ ]*)#+", r"\1", code[0])


def main() -> None:
    args = parse_args()
    engine = load_engine("ocr", get_settings().engine_options("ocr"))
    engine.load()
    warm_up()
    reader = Reader(engine, is_drawn=args.drawn)
    scores = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        items = list(make_readmes(folder, args.limit)) if "READMEs".startswith(args.only) else []
        items += make_papers(folder, args.papers, args.limit) if args.papers and "papers".startswith(args.only) else []
        for name, path, truth in items:
            markdown = reader.read(path)
            if args.keep:
                (folder / f"{path.stem}.md").write_text(markdown)
            markdown = FENCED.sub(without_marks, markdown)
            if name == "papers":
                markdown = without_optional(markdown, truth.read_text())
            scores[name].append(score(markdown, truth, "md"))
            if args.each:
                print(name, path.stem, scores[name][-1], flush=True)  # noqa: T201
    rows = [
        [name, len(found), *(mean_of([getattr(each, key) for each in found]) for key in KEYS)]
        for name, found in scores.items()
    ]
    cost = f"Layout took {mean(reader.seconds):.2f} s of processor time a page, over {len(reader.seconds)} pages."
    header = ["set", "documents", "heading F1", "levels agree", "word F1"]
    publish("headings" + ("-drawn" if args.drawn else ""), "Headings", [*table(header, rows), "", cost])


KEYS = ("heading_f1", "levels_agree", "word_f1")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=Path, help="a folder of PDFs with outlines")
    parser.add_argument("--drawn", action="store_true", help="draw the pages first and read them as images")
    parser.add_argument("--only", default="", choices=("", "READMEs", "papers"), help="one of the two sets")
    parser.add_argument("--limit", type=int, default=24, help="documents of each set at most")
    parser.add_argument("--keep", type=Path, help="a folder for the PDFs, their truth and the results")
    parser.add_argument("--each", action="store_true", help="print a line a document")
    return parser.parse_args()


if __name__ == "__main__":
    main()

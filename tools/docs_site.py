"""Hooks of mkdocs.yml: pages that are made from the code, and links out of docs/ that the site cannot follow.

`make docs` builds the site; nothing is fetched for it, and it asks nothing of other sites.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from tools.python_reference import python_page
from tools.rest_reference import read_spec, rest_page
from tools.settings_table import readme_rows

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>\.\./[^)#\s]+)(?:#[^)\s]*)?\)")
PICTURES = (".svg", ".png", ".webp")
WHOLE_FILES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, text in made_pages():
        files.append(File.generated(config, name, content=text))
    for picture in sorted((ROOT / "benchmarks" / "results").glob("*.svg")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def made_pages() -> Iterator[tuple[str, str]]:
    spec = read_spec()
    yield "reference/rest.md", rest_page(spec)
    yield "reference/openapi.json", json.dumps(spec, indent=1)
    yield "reference/python.md", python_page()
    yield "settings.md", settings_page()
    for name, source in WHOLE_FILES.items():
        yield name, (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")


def settings_page() -> str:
    head = "# Settings\n\nVariables of the environment, or lines of the file `.env` where Pagefan is started.\n"
    return "\n".join([head, *readme_rows()]) + "\n"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    return LINK.sub(lambda link: followed(link, page.file.src_uri), markdown)


def followed(link: re.Match[str], source: str) -> str:
    """A link to a file of the repository as the site has it: its pictures, and the bare name of anything else."""
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), link["target"]))
    if target.startswith("docs/"):
        return link[0]
    if not (ROOT / target).exists():
        raise PluginError(f"docs/{source} links to {target}, and there is no such file.")
    if link["mark"] and target.endswith(PICTURES):
        up = "../" * source.count("/")
        return f"![{link['text']}]({up}figures/{posixpath.basename(target)})"
    return link["text"]

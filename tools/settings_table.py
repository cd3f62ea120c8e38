"""Writes what is known of each setting into README.md and docker-compose.yml.

Run as `python -m tools.settings_table`, as `make readme` does. tests/test_tasks_settings.py checks that both files are
in step. Settings come from tasks/settings.py and from the engines' options.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.settings import Known, known_settings

ROOT = Path(__file__).parents[1]
README_MARKS = ("<!-- settings begin -->", "<!-- settings end -->")
COMPOSE_MARKS = ("  # settings begin", "  # settings end")
SET_BY_COMPOSE = frozenset(
    {"redis_url", "blob_url", "engine", "gpu_workers", "web_host", "web_port", "flower_port", "publish_address"}
)


def default_text(spec: Known) -> str:
    return f"{spec.default:g}" if isinstance(spec.default, float) else str(spec.default)


def readme_rows() -> Iterator[str]:
    yield "| Variable | Default | Unit | What it is |"
    yield "| --- | --- | --- | --- |"
    for spec in known_settings().values():
        default = default_text(spec)
        shown = f"`{default}`" if default else "empty"
        yield f"| `{spec.name.upper()}` | {shown} | {spec.unit} | {spec.help} |"


def compose_rows() -> Iterator[str]:
    for spec in known_settings().values():
        if spec.name not in SET_BY_COMPOSE:
            name = spec.name.upper()
            yield f"  # {spec.help} [{spec.unit}]"
            yield f"  {name}: ${{{name}:-{default_text(spec)}}}"


def replace_between(text: str, marks: tuple[str, str], rows: Iterable[str]) -> str:
    """`text` with new lines between its two marks; raises ValueError without exactly one pair of marks."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end or marks[0] in after:
        raise ValueError(f"expected one {marks[0]!r} before one {marks[1]!r}")
    return "\n".join([before + begin, *rows, end + after])


def updated_files() -> dict[Path, str]:
    """What README.md and docker-compose.yml should say."""
    readme, compose = ROOT / "README.md", ROOT / "docker-compose.yml"
    return {
        readme: replace_between(readme.read_text(), README_MARKS, readme_rows()),
        compose: replace_between(compose.read_text(), COMPOSE_MARKS, compose_rows()),
    }


if __name__ == "__main__":
    for path, text in updated_files().items():
        path.write_text(text)

"""Writes what is known of models into docs/models.md, from workers/engines/profiles.toml.

Run as `python -m tools.models_page`, as `make readme` does; a test checks that the page is in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.settings_table import replace_between
from workers.engines.profiles import PLAIN, Profile, profiles

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
MARKS = ("<!-- models begin -->", "<!-- models end -->")


def rows() -> Iterator[str]:
    yield "| profile | models, by a part of their name | pixels | tokens | answers in | licence |"
    yield "|---|---|---|---|---|---|"
    known = [profile for profile in profiles().values() if profile != PLAIN]
    for profile in known:
        names = ", ".join(f"`{name}`" for name in profile.models)
        size = f"{profile.max_side}, by {profile.factor}"
        cells = f"`{profile.name}`", names, size, str(profile.max_new_tokens), answer(profile), profile.license
        yield f"| {' | '.join(cells)} |"
    yield ""
    for profile in known:
        yield from notes(profile)


def answer(profile: Profile) -> str:
    boxes = " with boxes" if profile.grid or profile.dialect == "dots" else ""
    return f"{profile.dialect}{boxes}{', asked twice' if profile.is_asked_twice else ''}"


def notes(profile: Profile) -> Iterator[str]:
    """A paragraph of what else there is to know."""
    said = [profile.note] if profile.note else []
    said += [f"`ENGINE=openai` only: {profile.not_by_vlm}."] if profile.not_by_vlm else []
    yield f"- `{profile.name}`: {' '.join([*said, f'From: {profile.source}.'])}"


def updated() -> str:
    """What the page should say."""
    return replace_between(PAGE.read_text(), MARKS, rows())


if __name__ == "__main__":
    PAGE.write_text(updated())

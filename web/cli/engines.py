"""`pagefan engines`: what can read pages here, and what is known of the models that people run."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from tasks.services import engine_name, engine_options
from web.cli.terminal import put
from workers.engines.options import ModelOptions
from workers.engines.profiles import Profile, profile_of, profiles
from workers.engines.registry import ENGINES
from workers.prompts import TRANSCRIBE

MOST_SHOWN = 60  # characters of a prompt in the table
PIPE_WIDTH = 160  # characters of a line, where no terminal says


def run_engines(args: Namespace) -> int:
    """Print the engines, the one that is set here and its model's profile, and all profiles."""
    engine, options = engine_name(), engine_options()
    model = options.model if isinstance(options, ModelOptions) else ""
    used = profile_of(options) if model else None
    if args.json:
        put((json.dumps(as_json(engine, model, used), ensure_ascii=False, indent=2) + "\n").encode())
        return 0
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"Engines: {', '.join(sorted(ENGINES))}. Here: {engine}.", markup=False)
    if used:
        out.print(f"MODEL {model} has the profile {used.name}: {says(used)}", markup=False)
    Console(highlight=False, width=None if out.is_terminal else PIPE_WIDTH).print(table_of(used))
    return 0


def as_json(engine: str, model: str, used: Profile | None) -> dict[str, Any]:
    return {
        "engine": engine,
        "engines": sorted(ENGINES),
        "model": model,
        "profile": asdict(used) if used else None,
        "profiles": [asdict(profile) for profile in profiles().values()],
    }


def says(profile: Profile) -> str:
    """The profile in a sentence, with what the settings changed."""
    parts = [f"{profile.max_side} px", f"{profile.max_new_tokens} tokens", f"answers in {profile.dialect}"]
    parts += [profile.license] if profile.license else []
    parts += [f"not by vlm, for {profile.not_by_vlm}"] if profile.not_by_vlm else []
    return "; ".join([*parts, f"asked {prompt_text(profile)}"]) + "."


def prompt_text(profile: Profile) -> str:
    """Its prompt in one short line."""
    if profile.prompt == TRANSCRIBE:
        return "as any model"
    text = " ".join(profile.prompt.split())
    return f"'{text[:MOST_SHOWN]}{'…' if len(text) > MOST_SHOWN else ''}'" if text else "nothing"


def table_of(used: Profile | None) -> Table:
    table = Table(
        Column("Profile", no_wrap=True), "Models", "Asked", "Pixels", "Tokens", "Answers in", "Licence", show_lines=True
    )
    for profile in profiles().values():
        boxes = "" if not profile.grid and profile.dialect != "dots" else ", with boxes"
        steps = ", asked twice" if profile.crop_prompts else ""
        table.add_row(
            f"{profile.name} *" if used and used.name == profile.name else profile.name,
            ", ".join(profile.models),
            prompt_text(profile),
            f"{profile.max_side}, by {profile.factor}",
            str(profile.max_new_tokens),
            f"{profile.dialect}{boxes}{steps}",
            "; ".join(filter(None, (profile.license, "openai only: " * bool(profile.not_by_vlm) + profile.not_by_vlm))),
        )
    return table

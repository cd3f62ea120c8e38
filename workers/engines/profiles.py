"""What a model wants to be asked and how it answers, by its name; the table is `profiles.toml`, beside this file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from PIL import Image

from workers.engines import EngineError, EngineOptions, ImageSpec, PageRequest
from workers.engines.options import ModelOptions
from workers.prompts import TRANSCRIBE

TABLE = Path(__file__).with_name("profiles.toml")
GENERAL = "general"  # of a model that nothing is known of


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One family of models; what the fields say stands at the head of the table."""

    name: str = GENERAL
    models: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    prompt: str = TRANSCRIBE
    max_side: int = 1024
    factor: int = 32
    keeps_special: bool = False
    max_new_tokens: int = 4096
    dialect: str = "markdown"
    grid: int = 0
    first_side: int = 0
    crop_prompts: Mapping[str, str] = field(default_factory=dict)
    license: str = ""
    source: str = ""
    note: str = ""
    not_by_vlm: str = ""

    @property
    def is_asked_twice(self) -> bool:
        return bool(self.crop_prompts)

    def is_first(self, request: PageRequest) -> bool:
        """Whether a page is asked for in the first of two steps."""
        return self.is_asked_twice and request.task == "transcribe" and request.prompt in ("", TRANSCRIBE)

    def view(self, image: Image.Image, request: PageRequest) -> Image.Image:
        """The image as the model wants it: of a page that is looked over for the first of two steps, a square."""
        if not self.first_side or not self.is_first(request):
            return image
        return image.resize((self.first_side, self.first_side), Image.Resampling.BICUBIC)

    def spec(self, min_letter: float) -> ImageSpec:
        """The page image that is made for the model; what is read crop by crop needs no tiles."""
        return ImageSpec(
            factor=self.factor, max_side=self.max_side, min_letter=0.0 if self.is_asked_twice else min_letter
        )

    def resolve(self, prompt: str) -> str:
        """What the model is asked: its own words for a plain transcription, else the prompt as it is."""
        return prompt if prompt and prompt != TRANSCRIBE else self.prompt


PLAIN = Profile(note="What is done where nothing is known.")


@cache
def profiles() -> Mapping[str, Profile]:
    """All profiles by name, in the order of the table, and the general one last."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    known = {name: made(name, values) for name, values in table.items()}
    return known | {GENERAL: PLAIN}


def made(name: str, values: Mapping[str, object]) -> Profile:
    listed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Profile(name=name, **listed)  # type: ignore[arg-type]


def profile_of(options: EngineOptions, model_type: str = "") -> Profile:
    """The profile of the model that the options name, with what they say of it; the general one for other engines.

    `model_type` is that of its config, where it is known. Raises EngineError for an unknown MODEL_PROFILE.
    """
    if not isinstance(options, ModelOptions):
        return PLAIN
    is_named = options.model_profile not in ("", "auto")
    found = named(options.model_profile) if is_named else find(options.model, model_type)
    said = {
        "prompt": options.model_prompt or found.prompt,
        "dialect": options.model_dialect or found.dialect,
        "max_side": options.max_dimension or found.max_side,
        "factor": options.resize_factor or found.factor,
    }
    return replace(found, **said)  # type: ignore[arg-type]


def named(name: str) -> Profile:
    if name not in profiles():
        raise EngineError(f"MODEL_PROFILE={name!r} is not one of auto, {', '.join(profiles())}")
    return profiles()[name]


@cache
def find(model: str, model_type: str = "") -> Profile:
    """By the last part of the model's name, where the longest part that is known wins, then by its config's type."""
    name = model.rstrip("/").rpartition("/")[2].lower()
    matches = [(len(part), each) for each in profiles().values() for part in each.models if part in name]
    if matches:
        return max(matches, key=lambda match: match[0])[1]
    kind = model_type or type_in_folder(model)
    return next((each for each in profiles().values() if kind and kind in each.model_types), PLAIN)


def type_in_folder(model: str) -> str:
    """The `model_type` of a checkpoint in a folder; "" for a hub id, and for a folder without a config to read."""
    try:
        config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
        return str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

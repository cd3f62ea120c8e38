"""What engines can be told. Each declares its own options; here is how, and those that several engines have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

from workers.engines import EngineError, EngineOptions


def option(default: Any, *, setting: str = "", unit: str = "", help: str = "", tells: bool = False) -> Any:
    """A field of an engine's options.

    `setting` is the environment variable that sets it, in small letters, with its unit and one sentence about it; both
    are left out where Pagefan itself has a setting of that name. Without one, only code sets the option. `tells` is for
    one that makes the same weights write another text from the same pixels, so that readings are not mixed up.
    """
    return field(default=default, metadata={"setting": setting, "unit": unit, "help": help, "tells": tells})


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What `option` says of a field, with the field's name in the options."""

    name: str
    default: Any
    setting: str
    unit: str
    help: str
    tells: bool


def json_object(setting: str, text: str) -> dict[str, Any]:
    """What a setting says in JSON; nothing for an empty one. Raises EngineError where it is no JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError as exc:
        raise EngineError(f"{setting} is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise EngineError(f"{setting}={text!r} is no JSON object")
    return value


def declared(options: type[EngineOptions]) -> list[Option]:
    """The options of a class of them, in their order."""
    return [Option(name=spec.name, default=spec.default, **spec.metadata) for spec in fields(options)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions(EngineOptions):
    """Of engines whose page images are made for a vision model."""

    resize_factor: int = option(
        0,
        setting="vlm_resize_factor",
        unit="px",
        help="Both sides of a page image are multiples of this; 0 is the model's own, 32 where that is not known.",
    )
    max_dimension: int = option(
        0,
        setting="vlm_max_dimension",
        unit="px",
        help="Longest side of a page image; 0 is the model's own, 1024 where that is not known.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(ImageOptions):
    """Of engines that are told which model to use."""

    model: str = option("", setting="model", tells=True)
    model_revision: str = option(
        "", setting="model_revision", unit="git revision", help="Pins a hub model to one revision.", tells=True
    )
    model_profile: str = option(
        "auto",
        setting="model_profile",
        unit="name",
        help="How to ask the model and read its answers, one of `pagefan engines`; auto goes by MODEL.",
        tells=True,
    )
    model_prompt: str = option(
        "",
        setting="model_prompt",
        unit="text",
        help="Asks the model for a page's text; empty is what its profile says.",
        tells=True,
    )
    model_dialect: str = option(
        "",
        setting="model_dialect",
        unit="name",
        help="What the model answers in, one of `pagefan engines`; empty is what its profile says.",
        tells=True,
    )

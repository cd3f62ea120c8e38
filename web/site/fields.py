"""The fields of a form, as the models of the API take them."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request
from pydantic import ValidationError

from web.api.inputs import Input
from web.api.problems import Problem

Model = TypeVar("Model", bound=Input)


def form_values() -> dict[str, Any]:
    return {name: value for name, value in request.form.items() if name != "csrf_token"}


def validate(model: type[Model], values: dict[str, Any]) -> Model:
    """The form as `model`; raises Problem naming each field that cannot be used."""
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        found = [(".".join(map(str, error["loc"])) or "form", error["msg"]) for error in exc.errors()]
        errors = [{"option": option, "message": words.removeprefix("Value error, ")} for option, words in found]
        detail = "; ".join(f"{error['option']}: {error['message']}" for error in errors)
        raise Problem("invalid-options", detail, extra={"errors": errors}) from exc

"""Documents as other services' clients send them: the whole body is the file, and a header may have its name."""

from __future__ import annotations

import shutil
from typing import TypeVar, cast
from urllib.parse import unquote

from flask import request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from tasks.access.once import Submitted
from web.api.bodies import BoundedRequest
from web.api.inputs import JobFields
from web.api.problems import Problem
from web.api.uploads import submit_files

FILE_BODY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}  # for OpenAPI
MULTIPART_FILE = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}, "purpose": {"type": "string"}},
        }
    }
}
MOST_ERRORS = 20  # named in one answer

Fields = TypeVar("Fields", bound=JobFields)


def file_in_body(name: str = "") -> FileStorage:
    """The request's whole body as a file on disk; `name` may be quoted as in URLs. Raises Problem."""
    file = cast("BoundedRequest", request).open_file()
    shutil.copyfileobj(request.stream, file)
    file.seek(0)
    return FileStorage(stream=file, filename=unquote(name))


def submit_file(file: FileStorage, **options: str) -> Submitted:
    """Make a job of the file, with options of a job as forms have them. Raises Problem."""
    return submit_files([file], read_fields(JobFields, **options))


def read_fields(model: type[Fields], **values: str) -> Fields:
    """The options as a model; raises Problem for those that cannot be used."""
    try:
        return model(**values)  # type: ignore[arg-type]  # pydantic reads them
    except ValidationError as exc:
        raise problem_of(exc) from exc


def problem_of(error: ValidationError) -> Problem:
    """The problem with the options that a model did not take."""
    errors = [
        {"option": ".".join(map(str, found["loc"])), "message": found["msg"].removeprefix("Value error, ")}
        for found in error.errors()
    ][:MOST_ERRORS]
    detail = "; ".join(f"{found['option']}: {found['message']}" for found in errors)
    return Problem("invalid-options", detail, extra={"errors": errors})

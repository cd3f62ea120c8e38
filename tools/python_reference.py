"""The reference of the package `pagefan` as Markdown, made of its signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, is_typeddict

import pagefan

HEAD = """# Python

What `from pagefan import …` gives. `AsyncClient` has the calls of `Client`, each to be awaited.
"""
FIRST = ("Client", "AsyncClient", "convert", "local")


def python_page() -> str:
    names = [*FIRST, *(name for name in pagefan.__all__ if name not in FIRST)]
    return "\n".join([HEAD, *(line for name in names for line in entry(name, getattr(pagefan, name)))]) + "\n"


def entry(name: str, found: Any) -> Iterator[str]:
    yield f"## {name} {{ #{name.lower()} }}\n"
    if not callable(found):
        yield f"`{str(found).replace('typing.', '')}`\n"
        return
    if is_typeddict(found):
        yield from own_words(found)
        yield from (f"- `{field}`: `{kind}`" for field, kind in fields_of(found).items())
        yield ""
        return
    if not (inspect.isclass(found) and issubclass(found, Exception)):
        yield from signature(name, found)
    yield from own_words(found)
    if inspect.isclass(found) and not issubclass(found, Exception):
        yield from methods(name, found)


def fields_of(record: Any) -> dict[str, str]:
    return {
        name: getattr(kind, "__forward_arg__", "") or inspect.formatannotation(kind).replace("pagefan.records.", "")
        for name, kind in record.__annotations__.items()
    }


def methods(owner: str, found: type) -> Iterator[str]:
    for name, method in vars(found).items():
        if name.startswith("_") or not (inspect.isfunction(method) or isinstance(method, property)):
            continue
        if not isinstance(method, property) and method.__name__ != name:
            yield f"`{owner}.{name}` is `{owner}.{method.__name__}`.\n"
            continue
        yield f"### {owner}.{name} {{ #{owner.lower()}.{name} }}\n"
        if not isinstance(method, property):
            yield from signature(name, method)
        yield from own_words(method)


class Bare(str):
    """An annotation that a signature shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature(name: str, found: Any) -> Iterator[str]:
    said = inspect.signature(found)
    kept = [one.replace(annotation=Bare(one.annotation)) for one in said.parameters.values() if one.name != "self"]
    returned = said.return_annotation
    shown = said.replace(parameters=kept, return_annotation=Bare(returned) if isinstance(returned, str) else returned)
    yield f"```python\n{name}{shown}\n```\n"


def own_words(found: Any) -> Iterator[str]:
    """The docstring that is the object's own, not one that it inherits."""
    said = found.__doc__ or ""
    if said and not said.startswith(f"{getattr(found, '__name__', '')}("):  # which dataclasses make
        yield f"{inspect.cleandoc(said)}\n"

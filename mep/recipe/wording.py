"""How messages put what was found, what is wanted, and what comes near."""

import difflib
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mep.config import Config
from mep.errors import printable
from mep.registry import Method, kinds

MAX_SHOWN = 60
"""Characters of a value that a message repeats."""

NAMES = {int: "an integer", float: "a number", str: "text", bool: "true or false", Path: "a path"}
SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def show(value: Any) -> str:
    """A value as the reader of a recipe would call it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    text = str(value) if len(str(value)) <= MAX_SHOWN else str(value)[: MAX_SHOWN - 1] + "…"
    if isinstance(value, str):
        return f"'{printable(text)}'"
    return text.lower() if isinstance(value, bool) else text


def dotted(path: tuple[str | int, ...]) -> str:
    """The name of a field: `metrics.scores.0.kind`."""
    return ".".join(str(step) for step in path)


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def listed(words: list[str]) -> str:
    """`a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def find_near(found: Any, known: list[str]) -> str:
    """The hint that names the nearest of the known words, and all of them."""
    near = difflib.get_close_matches(str(found), known, 1)
    guess = f"did you mean '{near[0]}'?  " if near else ""
    return f"{guess}known: {', '.join(sorted(known))}"


def inside(annotation: Any, *, items: bool = True) -> Any:
    """The type inside `Annotated[...]`, `... | None` and, where items are meant, `tuple[..., ...]`."""
    origin, arguments = get_origin(annotation), [one for one in get_args(annotation) if one is not type(None)]
    if origin is Annotated or (origin in (Union, types.UnionType) and len(arguments) == 1):
        return inside(arguments[0], items=items)
    if items and origin in (tuple, list):
        return inside(arguments[0], items=False)
    return annotation


def plain_or_section(kind: Any) -> tuple[Any, Any] | None:
    """The two types of a value that is either plain or a section, as in `k: 33` and `k: {choose: [10, 33]}`."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    sections = [one for one in get_args(kind) if is_config(inside(one, items=False))]
    others = [one for one in get_args(kind) if one not in sections and one is not type(None)]
    return (others[0], sections[0]) if len(sections) == len(others) == 1 else None


def is_config(kind: Any) -> bool:
    """Has it fields?"""
    return isinstance(kind, type) and issubclass(kind, Config)


def is_family(kind: Any) -> bool:
    """Is it a family of methods, one of which is chosen by `kind`?"""
    return is_config(kind) and issubclass(kind, Method) and "kind" not in kind.model_fields


def choices(kind: Any) -> list[str]:
    """The words that a value has to be one of, where there are such."""
    if is_family(kind):
        return list(kinds(kind))
    return [str(choice) for choice in get_args(kind)] if get_origin(kind) is Literal else []


def wanted(kind: Any, field: FieldInfo | None = None) -> str:
    """What a value has to be: "an integer >= 1"."""
    bounds = _bounds(field) if field else {}
    or_null = " or null" if field and type(None) in get_args(field.annotation) else ""
    if is_family(kind):
        return f"{a(kind.noun)} ({listed(choices(kind))}){or_null}"
    if known := choices(kind):
        return listed(known) + or_null
    if get_origin(kind) in (tuple, list):
        return f"a list{_lengths(bounds, 'item')}{or_null}"
    if kind is str:
        return f"text{_lengths(bounds, 'character')}{or_null}"
    limits = " and ".join(f"{sign} {bounds[name]}" for name, sign in SIGNS.items() if name in bounds)
    return f"{NAMES.get(kind, 'a mapping')} {limits}".strip() + or_null


def _bounds(field: FieldInfo) -> dict[str, Any]:
    names = (*SIGNS, "min_length", "max_length")
    found = {name: getattr(one, name, None) for one in field.metadata for name in names if hasattr(one, name)}
    return {name: bound for name, bound in found.items() if bound is not None}


def _lengths(bounds: dict[str, Any], unit: str) -> str:
    """` of 1 to 1000 characters`."""
    least, most = bounds.get("min_length", 0), bounds.get("max_length")
    if most is not None:
        return f" of {least} to {most} {unit}s"
    return f" of at least {least} {unit}{'s' * (least != 1)}" if least else ""

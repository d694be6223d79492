"""How messages put what was found, what is wanted, and what comes near."""

from pathlib import Path
from typing import get_args, get_origin

from pydantic.fields import FieldInfo

from mep.errors import guess, printable
from mep.recipe.annotations import choices, is_family
from mep.recipe.node import Steps

MAX_SHOWN = 60
"""Characters of a value that a message repeats."""
NAMES: dict[object, str] = {int: "an integer", float: "a number", str: "text", bool: "true or false", Path: "a path"}
FAR = 1_000_000
SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def show(value: object) -> str:
    """A value as the reader of a recipe would call it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        noun = "mapping" if isinstance(value, dict) else "list"
        return f"a {noun}" if value else f"an empty {noun}"
    text = spell(value)
    text = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return f"'{printable(text)}'" if isinstance(value, str) else text


def spell(value: object) -> str:
    """A scalar as a recipe has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def dotted(path: Steps) -> str:
    return ".".join(str(step) for step in path)


def a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def listed(words: list[str]) -> str:
    """`a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def find_near(word: object, candidates: list[str]) -> str:
    """The hint that names the nearest of the candidates, and all of them."""
    return f"{guess(str(word), candidates)}known: {', '.join(sorted(candidates))}"


def wanted(annotation: object, field: FieldInfo | None = None, value: object = None) -> str:
    """What a value has to be: "an integer >= 1". A bound that is far away is named where the value is as far."""
    bounds = _bounds(field) if field else {}
    if not (isinstance(value, int | float) and abs(value) >= FAR):
        bounds = {name: bound for name, bound in bounds.items() if abs(bound) < FAR}
    or_null = " or null" if field and type(None) in get_args(field.annotation) else ""
    if is_family(annotation):
        return f"{a(annotation.noun)} ({listed(choices(annotation))}){or_null}"
    if words := choices(annotation):
        return listed(words) + or_null
    if get_origin(annotation) in (tuple, list):
        return f"a list{_lengths(bounds, 'item')}{or_null}"
    if annotation is str:
        return f"text{_lengths(bounds, 'character')}{or_null}"
    limits = " and ".join(f"{sign} {bounds[name]}" for name, sign in SIGNS.items() if name in bounds)
    return f"{NAMES.get(annotation, 'a mapping')} {limits}".strip() + or_null


def _bounds(field: FieldInfo) -> dict[str, float]:
    """The bounds of a field by their names in pydantic, such as `ge` and `max_length`."""
    names = (*SIGNS, "min_length", "max_length")
    values = {name: [getattr(constraint, name, None) for constraint in field.metadata] for name in names}
    return {name: value for name in names for value in values[name] if value is not None}


def _lengths(bounds: dict[str, float], unit: str) -> str:
    least, most = bounds.get("min_length", 0), bounds.get("max_length")
    if most is not None:
        return f" of {least} to {most} {unit}s"
    return f" of at least {least} {unit}{'s' * (least != 1)}" if least else ""

"""What the schema wants at a place, read off the annotation of a field."""

import types
from typing import Annotated, Literal, TypeGuard, Union, get_args, get_origin

from mep.config import Config
from mep.registry import Method, kinds


def inside(annotation: object, *, items: bool = True) -> object:
    """The type inside `Annotated[...]`, `... | None` and, where items are meant, `tuple[..., ...]`."""
    origin = get_origin(annotation)
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if origin is Annotated or (origin in (Union, types.UnionType) and len(arguments) == 1):
        return inside(arguments[0], items=items)
    if items and origin in (tuple, list):
        return inside(arguments[0], items=False)
    return annotation


def plain_or_section(annotation: object) -> tuple[object, object] | None:
    """The two types of a value that is either plain or a section, as in `k: 33` and `k: {choose: [10, 33]}`."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return None
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    sections = [argument for argument in arguments if is_config(inside(argument, items=False))]
    others = [argument for argument in arguments if argument not in sections]
    return (others[0], sections[0]) if len(sections) == len(others) == 1 else None


def is_config(annotation: object) -> TypeGuard[type[Config]]:
    """Has it fields?"""
    return isinstance(annotation, type) and issubclass(annotation, Config)


def is_family(annotation: object) -> TypeGuard[type[Method]]:
    """Is it a family of methods, one of which is chosen by `kind`?"""
    return isinstance(annotation, type) and issubclass(annotation, Method) and "kind" not in annotation.model_fields


def choices(annotation: object) -> list[str]:
    """The words that a value has to be one of, where there are such."""
    if is_family(annotation):
        return list(kinds(annotation))
    return [str(choice) for choice in get_args(annotation)] if get_origin(annotation) is Literal else []

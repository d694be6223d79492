"""Many options of a command as one dataclass: each field is an option, called like it unless another name is given."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args, get_type_hints

import click

OptionsT = TypeVar("OptionsT")
P = ParamSpec("P")


def option(text: str | None, *names: str, **attributes: object) -> Any:
    """A field that is read from the command line: its help, its names there, and what else `click.option` takes."""
    return dataclasses.field(metadata={"names": names, "help": text, **attributes})


def collected(options: type[OptionsT]) -> Callable[[Callable[Concatenate[OptionsT, P], None]], Callable[P, None]]:
    """Give a command the options of a dataclass, and what was typed as one object of it."""
    annotations = get_type_hints(options)

    def decorate(function: Callable[Concatenate[OptionsT, P], None]) -> Callable[P, None]:
        @functools.wraps(function)
        def command(*args: P.args, **kwargs: P.kwargs) -> None:
            typed = options(**{name: kwargs.pop(name) for name in annotations})
            function(typed, *args, **kwargs)

        for field in reversed(dataclasses.fields(options)):  # type: ignore[arg-type]
            attributes = _read_off(annotations[field.name]) | field.metadata
            names = attributes.pop("names") or (f"--{field.name.replace('_', '-')}",)
            attributes.setdefault("show_default", attributes.get("default", "") != "")
            command = click.option(*names, field.name, **attributes)(command)
        return command

    return decorate


def _read_off(annotation: object) -> dict[str, Any]:
    """What `click.option` is told by the type of a field."""
    if annotation is bool:
        return {"is_flag": True}
    value = next(iter(get_args(annotation)), annotation)
    multiple = {"multiple": True} if getattr(annotation, "__origin__", None) is tuple else {}
    return {"type": click.Path(path_type=Path) if value is Path else value} | multiple

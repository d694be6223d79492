"""Many options of a command as one dataclass: each field is an option.

@dataclass(frozen=True)
class Drawing:
    n: Annotated[int, Option("-n", type=click.IntRange(1), default=4, help="Images of each prompt.")]

@click.command()
@collected(Drawing)
@click.pass_obj
def command(runs: Path, drawing: Drawing) -> None: ...
"""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import click

OptionsT = TypeVar("OptionsT")
P = ParamSpec("P")


class Option:
    """How click reads a field: the names of the option on the command line, and what else `click.option` takes."""

    def __init__(self, *names: str, **attributes: Any):
        self.names, self.attributes = names, attributes


def collected(options: type[OptionsT]) -> Callable[[Callable[Concatenate[OptionsT, P], None]], Callable[P, None]]:
    """Give a command the options of a dataclass, and what was typed as one object of it."""
    annotations = get_type_hints(options, include_extras=True)

    def decorate(function: Callable[Concatenate[OptionsT, P], None]) -> Callable[P, None]:
        @functools.wraps(function)
        def command(*args: P.args, **kwargs: P.kwargs) -> None:
            typed = options(**{name: kwargs.pop(name) for name in annotations})
            function(typed, *args, **kwargs)

        for name, annotation in reversed(annotations.items()):
            (option,) = annotation.__metadata__
            command = click.option(*option.names, name, **option.attributes)(command)
        return command

    return decorate

"""What can go wrong, drawn as a tree; the exit code stands beside each.

MepError
|-- RecipeError        2   edit the YAML: every mistake at once, each with file:line:column
|-- UsageError         2   the command line asks for something that is not there
|-- DataError          1   look at the images: the recipe is fine, its input is not
|-- StageFailed        1   names the stage and the log that holds the traceback
|-- EnvironmentLacks   3   a package, a model or a device is missing
|-- Locked             4   another process holds the run
|-- IntegrityError     5   the store does not hold what its manifests say
|-- NotComparable      5   numbers that were not made alike stand beside each other
`-- Interrupted   130/143  stopped by a signal, ready to resume
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class MepError(Exception):
    """A message for the person at the keyboard, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """All of it goes to another process, whatever its class is made from."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[MepError], args: tuple[Any, ...], content: dict[str, Any]) -> MepError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(content)
    return error


@dataclass(frozen=True, order=True)
class Place:
    """Where a value was written: a file and a 1-based line and column, or the name of another origin."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in a recipe."""

    field: str
    message: str
    place: Place | None = None
    source_line: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [(f"{self.place}  " if self.place else "") + (f"{self.field}: " if self.field else "") + self.message]
        if self.source_line and self.place:
            lines += [f"    {self.source_line}", "    " + " " * (self.place.column - 1) + "^"]
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)


class RecipeError(MepError):
    """The recipe cannot be run as written; `mistakes` holds all that is wrong with it."""

    exit_code = 2

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = mistakes
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


class UsageError(MepError):
    exit_code = 2


class DataError(MepError):
    """The input of a stage is not what it needs; `field` names the recipe field to look at, where one is to blame."""

    def __init__(self, message: str, *, hint: str = "", field: str = ""):
        super().__init__(message, hint=hint)
        self.field = field


class StageFailed(MepError):
    """A stage raised something unexpected; the cause is chained and its traceback is in the run's log."""


class EnvironmentLacks(MepError):
    exit_code = 3


class Locked(MepError):
    exit_code = 4


class IntegrityError(MepError):
    exit_code = 5


class NotComparable(MepError):
    exit_code = 5


class Interrupted(MepError):
    """A signal asked for a stop; finished work and the last checkpoint are kept."""

    def __init__(self, signal_number: int):
        super().__init__("interrupted")
        self.exit_code = 128 + signal_number


def printable(text: str) -> str:
    """The text with an escape for every character that is not to be seen, such as those that steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def guess(word: str, known: Iterable[str]) -> str:
    """How a hint begins where a word is near to a known one, with two spaces after it; empty where none is near."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean '{near[0]}'?  " if near else ""

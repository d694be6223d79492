"""The text of a recipe, with names for its places."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from mep.config import special_file
from mep.errors import Mistake, Place, RecipeError, printable

MAX_BYTES = 1 << 20
MAX_LINE = 160  # characters of a line that a message shows
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what PyYAML counts as one


@dataclass(frozen=True)
class RecipeText:
    """A text and its name in messages: a file, whose places have lines, or another origin, which has none.

    beside      other texts whose places may be in the same tree: the files that a recipe extends
    """

    name: str
    text: str
    is_file: bool = False
    beside: "tuple[RecipeText, ...]" = ()

    @cached_property
    def lines(self) -> list[str]:
        return LINE_BREAK.split(self.text)

    def place(self, line: int, column: int) -> Place:
        """Place of a line and a column, both counted from 0."""
        return Place(self.name, line + 1, column + 1) if self.is_file else Place(self.name)

    def place_at(self, index: int) -> Place:
        breaks = [match.end() for match in LINE_BREAK.finditer(self.text, 0, index)]
        return self.place(len(breaks), index - (breaks[-1] if breaks else 0))

    def mistake(self, message: str, place: Place, *, field: str = "", hint: str = "") -> Mistake:
        """A mistake that shows the line it is on, where that is a line of this text or of one beside it."""
        line = ""
        home = next((text for text in (self, *self.beside) if text.name == place.file), None)
        if home and place.line:
            line = home.lines[place.line - 1] if place.line <= len(home.lines) else ""
            line = "".join(character if character.isprintable() else " " for character in line).rstrip()
        if len(line) > MAX_LINE:
            line = line[: MAX_LINE - 1] + "…" if place.column < MAX_LINE else ""
        return Mistake(printable(field), printable(message), place, line, hint)


class MistakeLog:
    """What is wrong with a text, collected while the reading goes on."""

    def __init__(self, source: RecipeText):
        self.source = source
        self.mistakes: list[Mistake] = []

    def note(self, message: str, place: Place, *, field: str = "", hint: str = "") -> None:
        self.mistakes.append(self.source.mistake(message, place, field=field, hint=hint))


def read_file(path: Path) -> RecipeText:
    """The text of a recipe; RecipeError where it is not there, too large, not UTF-8, or begins with a BOM."""
    name = str(path)

    def refuse(message: str, hint: str) -> NoReturn:
        raise RecipeError([Mistake("", message, Place(name), hint=hint)])

    try:
        if what := special_file(path):
            refuse(f"is {what}, not a file", "name the YAML file of a recipe")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        near = _near(path) if isinstance(error, FileNotFoundError) else ""
        hint = f"{near}name the YAML file of a recipe, or one of mep init --list"
        refuse(f"cannot be read: {getattr(error, 'strerror', None) or error}", hint)
    if len(content) > MAX_BYTES:
        refuse("is larger than 1 MiB", "a recipe is a few lines of YAML; is this the right file?")
    if content.startswith(b"\xef\xbb\xbf"):
        refuse("begins with a byte order mark", "save it as UTF-8 without BOM")
    try:
        return RecipeText(name, content.decode("utf-8"), is_file=True)
    except UnicodeDecodeError as error:
        before = RecipeText(name, content[: error.start].decode("utf-8"), is_file=True)
        byte, place = content[error.start], before.place_at(len(before.text))
        mistake = Mistake("", f"is not UTF-8: byte 0x{byte:02x}", place, hint="save it as UTF-8")
        raise RecipeError([mistake]) from error


def _near(path: Path) -> str:
    """How a hint begins where a recipe has nearly that name: one beside it, or one that comes with mep."""
    import difflib

    from mep.recipe.templates import templates

    names = dict.fromkeys(templates() if path.name == str(path) else ())
    names |= {file.stem: file.suffix for file in path.parent.glob("*.y*ml")}
    near = difflib.get_close_matches(path.stem, names, 1)
    return "".join(f"did you mean '{stem}{names[stem] or ''}'?  " for stem in near)

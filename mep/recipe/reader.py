"""YAML text -> values that know where they were written.

The text is data: there are no tags, no merge keys, nothing is constructed and nothing is looked up outside it. Plain
scalars follow the YAML 1.2 core schema, so 1e-4 is a number while 12:30, yes and 2024-01-01 are text; keys are always
text. Nesting and number of values are capped, with aliases counted as often as they are used.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn, cast

import yaml
from yaml.reader import ReaderError

import mep
from mep.errors import Place, RecipeError
from mep.recipe.node import Node
from mep.recipe.text import MistakeLog, RecipeText
from mep.recipe.wording import show

FORMAT = 2
"""The recipe format that this version of mep reads and writes; it came with mep 0.2."""
SINCE_1 = {
    "generation.images": "generation.allocation",
    "training.batch_size": "training.global_batch_size",
}
"""Fields of format 1 -> what they are called since; format 1 was never released, so nothing rewrites it."""
MAX_NESTING = 64
MAX_VALUES = 10_000  # about a second of reading
MAX_DIGITS = 400  # characters of a number; Python does not print integers of more than 4300 digits
SURROGATE = re.compile("[\ud800-\udfff]")
WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
HINTS = {
    "that cannot start any token": "put a value that begins with this character in quotes",
    "mapping values are not allowed here": "put text that holds ': ' in quotes, or check the indentation",
    "could not find expected ':'": "every line of a section reads  key: value",
    "expected <block end>": "check the indentation, and put text that holds braces or brackets in quotes",
    "but got '<scalar>'": "put text that holds braces or brackets in quotes",
    "stream end": "a bracket or a brace is not closed",
    "end of stream": "a quote is not closed",
}
"""Part of PyYAML's words for a mistake -> what usually mends it."""


def parse_recipe(source: RecipeText) -> Node:
    """The top level of a recipe; RecipeError as `parse`, and where it is no mapping or of another format."""
    root = parse(source)
    if not isinstance(root.value, dict):
        message = "the recipe is empty" if root.value is None else "the recipe is not a mapping"
        hint = "it reads  key: value  line by line, beginning with name, dataset and training"
        raise RecipeError([source.mistake(message, root.place, hint=hint)])
    written = root.child("mep")
    if written is not None and written.value != FORMAT:  # what the keys of another format mean is not known here
        message = f"found {show(written.value)}, wanted {FORMAT}: the recipe format that mep {mep.__version__} reads"
        is_newer = isinstance(written.value, int) and written.value > FORMAT
        hint = "pip install --upgrade mep" if is_newer else f"write mep: {FORMAT}"
        if written.value == 1:
            hint += "".join(f"; {old} is {new} now" for old, new in SINCE_1.items())
        raise RecipeError([source.mistake(message, written.place, field="mep", hint=hint)])
    return root


def parse(source: RecipeText) -> Node:
    """One YAML document as a tree; RecipeError where a recipe may not use it: tags, duplicate keys, past a cap ..."""
    builder = _Builder(source)
    try:
        root = builder.document()
    except ReaderError as error:
        message = f"the character {error.character:#x} is not allowed in YAML"
        builder.refuse(message, source.place_at(error.position), hint="delete it, or write it as an escape in quotes")
    except yaml.MarkedYAMLError as error:
        builder.refuse_syntax(error)
    except (ValueError, OverflowError):  # from chr() and int() inside PyYAML
        mark = builder.loader.get_mark()
        place = source.place(mark.line, mark.column)
        builder.refuse("an escape or a version that names no character and no number", place)
    if builder.mistakes:
        raise RecipeError(builder.mistakes)
    return root


def scalar(text: str) -> str | bool | int | float | None:
    """A plain scalar by the YAML 1.2 core schema; ValueError for a number of more than 400 characters."""
    if text in WORDS:
        return WORDS[text]
    if NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    is_integer, is_number = INTEGER.fullmatch(text), NUMBER.fullmatch(text)
    if not is_integer and not is_number:
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if is_integer else float(text)


class _Builder(MistakeLog):
    """Events -> nodes. What can be read past is collected in `mistakes`; the rest ends the reading."""

    def __init__(self, source: RecipeText):
        super().__init__(source)
        self.anchors: dict[str, Node] = {}
        self.n_values = 0

    def document(self) -> Node:
        self.loader = yaml.SafeLoader(self.source.text)  # only its events are taken: it composes and constructs nothing
        self.events: Iterator[yaml.Event] = iter(self.loader.get_event, None)
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Node(None, self.source.place(0, 0))
        root = self._node(next(self.events), 0)
        next(self.events)  # the end of the document
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            hint = "one file holds one recipe; use arms for variants"
            self.refuse("a second document begins here", self._place(event), hint=hint)
        return root

    def refuse(self, message: str, place: Place, *, hint: str = "") -> NoReturn:
        raise RecipeError([*self.mistakes, self.source.mistake(message, place, hint=hint)])

    def refuse_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        """What PyYAML says, with a remedy where it is one of the usual slips."""
        mark = error.problem_mark or error.context_mark
        place = self.source.place(mark.line, mark.column) if mark else Place(self.source.name)
        if r"'\t'" in str(error.problem):
            self.refuse("a tab stands where YAML wants spaces", place, hint="indent with spaces")
        begun, context = error.context_mark, f" {error.context}" if error.context else ""
        if context and begun and mark and begun.line != mark.line and self.source.is_file:
            context += f" begun on line {begun.line + 1}"
        hint = next((hint for words, hint in HINTS.items() if words in str(error.problem)), "")
        self.refuse(f"not YAML: {error.problem}{context}", place, hint=hint)

    def _place(self, event: yaml.Event) -> Place:
        mark = cast(yaml.Mark, event.start_mark)
        return self.source.place(mark.line, mark.column)

    def _count(self, n: int, depth: int, place: Place) -> None:
        self.n_values += n
        if self.n_values > MAX_VALUES:
            self.refuse(f"more than {MAX_VALUES:,} values, aliases counted as often as they are used", place)
        if depth > MAX_NESTING:
            self.refuse(f"nested more than {MAX_NESTING} deep", place)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), depth, place)
        event = cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)
        self._count(1, depth, place)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.note(f"the tag {show(tag)} is not read", place, hint="a recipe is plain data; take the tag out")
        if isinstance(event, yaml.MappingStartEvent):
            node = Node(self._mapping(depth), place)
        elif isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, place), place)
        else:
            node = Node([self._node(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)], place)
        if event.anchor is not None:
            self.anchors[event.anchor] = node  # only now, so that no node can contain itself
        return node

    def _alias(self, name: str, depth: int, place: Place) -> Node:
        node = self.anchors.get(name)
        if node is None:
            self.refuse(f"*{name} stands for nothing", place, hint=f"an anchor &{name} has to be complete before it")
        paths = [path for path, _ in node.walk()]
        self._count(len(paths), depth + max(map(len, paths)), place)
        return node

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        return itertools.takewhile(lambda event: not isinstance(event, end), self.events)

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            place = self._place(event)
            if not isinstance(event, yaml.ScalarEvent):
                self.refuse("a key is text, not a list, a mapping or an alias", place, hint="put braces in quotes")
            key_node = self._node(event, depth + 1)
            key, node = event.value, self._node(next(self.events), depth + 1)
            if key == "<<":
                self.note("merge keys (<<) are not read", place, hint="write the fields out; arms share what they can")
            elif key in entries:
                self.note(f"the key {show(key)} is here twice", place, hint=f"first written at {entries[key].key}")
            else:
                entries[key] = replace(node, key=key_node.place)
        return entries

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> str | bool | int | float | None:
        if half := SURROGATE.search(event.value):
            self.refuse(f"\\u{ord(half[0]):x} is half a character", place, hint="write the character itself")
        if event.style is not None:
            return event.value
        try:
            return scalar(event.value)
        except ValueError as error:
            self.refuse(str(error), place, hint="put it in quotes if it is text")

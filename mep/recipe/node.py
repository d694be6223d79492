"""What a recipe is before it is checked: plain values, each with the place where it was written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from mep.errors import Place

Plain: TypeAlias = "str | bool | int | float | list[Plain] | dict[str, Plain] | None"
"""Values without places, as JSON has them."""
Steps: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and indices from the top of the recipe."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it was written; `key` is the place of the key that names it."""

    value: "str | bool | int | float | list[Node] | dict[str, Node] | None"
    place: Place
    key: Place | None = None

    @property
    def named_at(self) -> Place:
        """Where its key was written, or the value itself where it has none."""
        return self.key or self.place

    @property
    def entries(self) -> "dict[str, Node]":
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        return self.value if isinstance(self.value, list) else []

    def child(self, step: str | int) -> "Node | None":
        if isinstance(step, int):
            return self.items[step] if step < len(self.items) else None
        return self.entries.get(step)

    @property
    def kind(self) -> Plain:
        """The method that it chooses, by `kind` or by its bare name."""
        if chosen := self.child("kind"):
            return chosen.plain()
        return self.value if isinstance(self.value, str) else None

    def plain(self) -> Plain:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def walk(self, path: Steps = ()) -> Iterator[tuple[Steps, "Node"]]:
        """Itself and every value below it, each with its path."""
        yield path, self
        for key, node in self.entries.items():
            yield from node.walk((*path, key))
        for index, node in enumerate(self.items):
            yield from node.walk((*path, index))

    def map(self, change: "Callable[[Node], Node]") -> "Node":
        """The same tree with `change` applied to every value that is neither a mapping nor a list."""
        if isinstance(self.value, dict):
            return replace(self, value={key: node.map(change) for key, node in self.value.items()})
        if isinstance(self.value, list):
            return replace(self, value=[node.map(change) for node in self.value])
        return change(self)

    def without(self, *keys: str) -> "Node":
        """A mapping without some of its keys."""
        return replace(self, value={key: node for key, node in self.entries.items() if key not in keys})

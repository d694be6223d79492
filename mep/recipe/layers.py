"""The files of a recipe: itself, and below it those that it extends."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mep.config import Anchored
from mep.errors import Mistake
from mep.recipe.compose import merge
from mep.recipe.reader import Node, parse_recipe, without
from mep.recipe.text import RecipeText, read_file
from mep.recipe.wording import show

MAX_FILES = 32
"""Files that a recipe and those that it extends may be, each counted as often as it is named."""


@dataclass
class Layers:
    """A recipe with everything that it extends merged below it.

    source      its text, with those of the extended files beside
    mistakes    what is wrong with the layers themselves
    """

    root: Node
    source: RecipeText
    mistakes: list[Mistake]


def read_layers(file: Path) -> Layers:
    """The recipe in a file. What it extends has to lie in its folder or below.

    RecipeError     a file is no YAML mapping, or of another format
    """
    reader = _Reader(file.parent)
    root = reader.read(file, ())
    source = replace(reader.sources[0], beside=tuple(reader.sources[1:]))
    return Layers(root, source, reader.mistakes)


@dataclass
class _Reader:
    folder: Path
    sources: list[RecipeText] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, file: Path, above: tuple[Path, ...]) -> Node:
        """The file merged over those that it extends."""
        source = read_file(file)
        self.sources.append(source)
        root = parse_recipe(source)
        if above:
            root = _anchored(root, file.parent)
        below: Node | None = None
        for target, node in self._extended(root, source):
            problem = self._problem(file, target, (*above, file))
            if problem:
                hint = "a recipe extends files that lie in its folder or below, named from where it lies"
                self.mistakes.append(
                    source.mistake(f"{show(target)} {problem}", node.place, field="extends", hint=hint)
                )
                continue
            layer = self.read(Path(os.path.normpath(file.parent / target)), (*above, file))
            below = merge(below, layer) if below else layer
        own = without(root, {"extends"})
        return merge(below, own) if below else own

    def _extended(self, root: Node, source: RecipeText) -> Iterator[tuple[str, Node]]:
        extends = root.child("extends")
        if extends is None:
            return
        for node in extends.value if isinstance(extends.value, list) else [extends]:
            if isinstance(node.value, str):
                yield str(node.value), node
            else:
                message = f"found {show(node.value)}, wanted a file or a list of files"
                self.mistakes.append(source.mistake(message, node.place, field="extends"))

    def _problem(self, file: Path, target: str, above: tuple[Path, ...]) -> str:
        """Why a file cannot be extended; empty where it can."""
        try:
            path = Path(os.path.normpath(file.parent / target))
            real, home = path.resolve(strict=True), self.folder.resolve()
        except (OSError, ValueError, RuntimeError):  # absent, a zero byte, a ring of links
            return "does not exist"
        if Path(target).is_absolute() or home not in real.parents:
            return "lies outside the recipe's folder"
        if not real.is_file():
            return "is not a file"
        if real in [one.resolve() for one in above]:
            return f"extends itself: {' -> '.join([*(one.name for one in above), path.name])}"
        return f"is one of more than {MAX_FILES} files" if len(self.sources) >= MAX_FILES else ""


def _anchored(node: Node, folder: Path) -> Node:
    """The same with every text bound to the folder it was written in, should it turn out to be a path."""
    if isinstance(node.value, dict):
        return replace(node, value={key: _anchored(child, folder) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_anchored(child, folder) for child in node.value])
    return replace(node, value=Anchored.at(node.value, folder)) if isinstance(node.value, str) else node

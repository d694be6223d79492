"""Recipes of older formats: keys that have another name now are renamed while reading, or for good by `mep migrate`."""

from dataclasses import dataclass, replace
from pathlib import Path

import mep
from mep.errors import Mistake, Place, RecipeError
from mep.recipe.model import FORMAT
from mep.recipe.reader import Node, parse_recipe
from mep.recipe.source import Source, read_file

RENAMED: dict[int, dict[str, str]] = {
    1: {"generation.images": "allocation", "training.batch_size": "global_batch_size"},
}
"""The last format that knows a field by its old name -> the field -> what its key is called since."""


@dataclass(frozen=True)
class Renaming:
    """One key that has another name now, or the number of the format itself: at `place`, `old` becomes `new`."""

    place: Place
    old: str
    new: str


def format_of(root: Node, source: Source) -> int:
    """The format that a recipe says it is written in; the present one where it says none.

    RecipeError     it is newer than this mep: its keys may be known to the newer one
    """
    written = root.child("mep")
    if written is None or not isinstance(written.value, int) or isinstance(written.value, bool):
        return FORMAT
    if written.value > FORMAT:
        message = f"needs mep >= 0.{written.value}; this is {mep.__version__}, which reads formats 1 to {FORMAT}"
        raise RecipeError([source.mistake(message, written.place, field="mep", hint="pip install --upgrade mep")])
    return written.value


def migrated(root: Node, source: Source) -> tuple[Node, list[Renaming], list[Mistake]]:
    """A recipe with the key names of the present format, what was renamed, and what stands there under both names."""
    renamings: list[Renaming] = []
    mistakes: list[Mistake] = []
    for format in range(max(format_of(root, source), 1), FORMAT):
        for field, new in RENAMED[format].items():
            for path in _everywhere(root, field.split(".")):
                root = _rename(root, path, new, source, renamings, mistakes)
    return root, renamings, mistakes


def new_name(field: str) -> str | None:
    """What the key of a field is called since it was renamed."""
    return next((names[field] for names in RENAMED.values() if field in names), None)


def rewrite(path: Path) -> tuple[str, list[Renaming]]:
    """The text of a recipe in the present format, comments and layout kept, and what was renamed in it.

    RecipeError     it is not YAML, is newer than this mep, or has a key under its old and its new name
    """
    source = read_file(path)
    root = parse_recipe(source)
    _, renamings, mistakes = migrated(root, source)
    if mistakes:
        raise RecipeError(mistakes)
    written = root.child("mep")
    if written and written.value != FORMAT:
        renamings.append(Renaming(written.place, str(written.value), str(FORMAT)))
    text = source.text
    for one in sorted(renamings, key=lambda one: one.place, reverse=True):
        start = source.index(one.place)
        start += text[start] in "\"'"
        if not text.startswith(one.old, start):
            hint = f"write it as {one.old}, without escapes"
            raise RecipeError([source.mistake("cannot be rewritten as it is written", one.place, hint=hint)])
        text = text[:start] + one.new + text[start + len(one.old) :]
    return text, renamings


def _everywhere(root: Node, steps: list[str]) -> list[list[str]]:
    """The paths under which a field of the experiment can stand: at the top, and in every arm."""
    arms = root.child("arms")
    names = list(arms.value) if arms and isinstance(arms.value, dict) else []
    return [steps, *(["arms", name, *steps] for name in names)]


def _rename(
    node: Node, path: list[str], new: str, source: Source, renamings: list[Renaming], mistakes: list[Mistake]
) -> Node:
    child = node.child(path[0])
    if child is None or not isinstance(node.value, dict):
        return node
    if len(path) > 1:
        inner = _rename(child, path[1:], new, source, renamings, mistakes)
        return replace(node, value=node.value | {path[0]: inner})
    if new in node.value:
        hint = f"'{path[0]}' is the old name of '{new}'; keep one of them"
        mistakes.append(source.mistake("is here under its new name too", child.named_at, field=path[0], hint=hint))
        return replace(node, value={key: value for key, value in node.value.items() if key != path[0]})
    renamings.append(Renaming(child.named_at, path[0], new))
    return replace(node, value={new if key == path[0] else key: value for key, value in node.value.items()})

"""A recipe with every layer merged and every default filled in, each value with where it comes from."""

from collections.abc import Iterator
from typing import Any

from mep.config import leaves
from mep.recipe.compose import MAIN
from mep.recipe.load import Recipe
from mep.recipe.lock import changes, dump, inline
from mep.recipe.model import FORMAT, repeat_of

COLUMN = 72
"""Where the comments begin, if the value leaves room."""


def fields_of(recipe: Recipe) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm -> dotted field -> its value and its origin: a place in a file, a modality, --set or default."""
    return {
        arm: {
            field: {"value": value, "origin": recipe.origin_of(arm, field)}
            for field, value in leaves(dump(experiment, recipe.file.parent))
        }
        for arm, experiment in recipe.arms.items()
    }


def resolved_text(recipe: Recipe) -> str:
    """YAML that loads to the same experiments: what the first arm is made of, and what the others change."""
    arms = {arm: dump(one, recipe.file.parent) for arm, one in recipe.arms.items() if repeat_of(arm)[1] == 1}
    first = next(iter(arms))
    head = {"mep": FORMAT, "name": recipe.name, "description": recipe.description, "modality": recipe.modality}
    lines = [*_lines(head | {"seeds": recipe.seeds} | arms[first], recipe, first)]
    if list(arms) != [MAIN]:
        lines.append("arms:")
        for arm, values in arms.items():
            changed = changes(arms[first], values)
            lines.append(f"  {inline(arm)}:" if changed else f"  {inline(arm)}: {{}}")
            lines += _lines(changed, recipe, arm, "    ")
    lines += ["machine:", *_lines(dump(recipe.machine, recipe.file.parent), recipe, first, "  ", "machine.")]
    return "\n".join(lines)


def _lines(values: dict[str, Any], recipe: Recipe, arm: str, indent: str = "", above: str = "") -> Iterator[str]:
    for key, value in sorted(values.items(), key=lambda item: item[0] != "kind"):
        if isinstance(value, dict) and value:
            yield f"{indent}{inline(key)}:"
            yield from _lines(value, recipe, arm, indent + "  ", f"{above}{key}.")
        else:
            yield f"{indent}{inline(key)}: {inline(value)}".ljust(COLUMN) + f"  # {recipe.origin_of(arm, above + key)}"

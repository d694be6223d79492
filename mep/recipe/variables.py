"""`${vars.name}` in a recipe: the value of a variable in place of text, and nothing else."""

import re
from dataclasses import replace
from typing import Any

from mep.errors import Mistake
from mep.recipe.reader import Node, without
from mep.recipe.text import RecipeText
from mep.recipe.wording import dotted, find_near, show

SLOT = re.compile(r"\$\{([^{}]*)\}")
MAX_CHARACTERS = 10_000
"""Characters that a text may have once its variables are filled in."""


def substituted(root: Node, variables: dict[str, Any], source: RecipeText) -> tuple[Node, list[Mistake]]:
    """The tree with every variable filled in, and what cannot be.

    A text that is one slot takes the value with its type; inside other text the value is written out.
    """
    mistakes: list[Mistake] = []
    named = root.child("vars")
    for path, node in named.walk() if named else ():
        if isinstance(node.value, str) and "${" in node.value:
            field = dotted(("vars", *path))
            mistakes.append(source.mistake("a variable cannot hold another", node.place, field=field))
    rest = without(root, {"vars"})
    filled = _filled(rest, variables, source, mistakes)
    return (replace(filled, value=filled.value | {"vars": named}) if named else filled), mistakes


def variables_of(root: Node) -> dict[str, Any]:
    """The variables of a recipe: scalars by name. Others are left to validation."""
    node = root.child("vars")
    found = node.value if node and isinstance(node.value, dict) else {}
    return {name: one.value for name, one in found.items() if isinstance(one.value, str | bool | int | float)}


def _filled(node: Node, variables: dict[str, Any], source: RecipeText, mistakes: list[Mistake]) -> Node:
    value = node.value
    if isinstance(value, dict):
        return replace(node, value={key: _filled(one, variables, source, mistakes) for key, one in value.items()})
    if isinstance(value, list):
        return replace(node, value=[_filled(one, variables, source, mistakes) for one in value])
    if not isinstance(value, str) or "${" not in value:
        return node
    for slot in SLOT.findall(value):
        name = slot.removeprefix("vars.")
        if name == slot or name not in variables:
            known = [f"vars.{one}" for one in variables]
            hint = "only ${vars.name} is filled in, from vars: of the recipe"
            if known and name != slot:
                hint = find_near(slot, known)
            mistakes.append(source.mistake(f"{show('${' + slot + '}')} stands for nothing", node.place, hint=hint))
            return node
    if whole := SLOT.fullmatch(value):
        return replace(node, value=variables[whole[1].removeprefix("vars.")])
    text = SLOT.sub(lambda slot: _written(variables[slot[1].removeprefix("vars.")]), value)
    if len(text) > MAX_CHARACTERS:
        mistakes.append(source.mistake(f"is longer than {MAX_CHARACTERS:,} characters once filled in", node.place))
        return node
    return replace(node, value=text)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

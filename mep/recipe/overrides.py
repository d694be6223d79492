"""`--set field=value` -> a layer of the recipe."""

from collections.abc import Sequence

from mep.errors import Mistake, Place, RecipeError, printable
from mep.recipe.node import Node
from mep.recipe.reader import parse
from mep.recipe.text import RecipeText

SHAPING = ("arms", "matrix", "vars")
"""Keys that tell what the arms are; an override of one applies before the arms are made."""


def read_overrides(recipe: Node, overrides: Sequence[str]) -> tuple[list[Node], list[Mistake]]:
    """A layer for every override, and what is wrong with the others."""
    layers: list[Node] = []
    mistakes: list[Mistake] = []
    for override in overrides:
        try:
            layers.append(_layer(recipe, override))
        except RecipeError as error:
            mistakes += error.mistakes
    return layers, mistakes


def shapes_arms(layer: Node) -> bool:
    """Does an override change what the arms are?"""
    return any(layer.child(key) for key in SHAPING)


def _layer(recipe: Node, override: str) -> Node:
    """`a.b=v` as {a: {b: v}}.

    RecipeError     it is no field=value, or sets what cannot be set
    """
    origin = Place(f"--set {printable(override)}")
    field, sign, value = override.partition("=")
    keys = _keys(recipe, field.strip())
    if not sign or not all(keys):
        raise RecipeError([Mistake("", "wanted field=value, such as training.steps=100", origin)])
    if keys[0] == "extends":
        raise RecipeError([Mistake("", "what a recipe extends is written in it", origin)])
    if any(key.isdecimal() for key in keys) and keys[0] not in SHAPING:
        raise RecipeError([Mistake("", "a list is set as a whole", origin, hint="as in metrics.scores=[kid, prdc]")])
    node = parse(RecipeText(origin.file, value))
    for key in reversed(keys):
        node = Node({key: Node(node.value, node.place, origin)}, origin)
    return node


def _keys(recipe: Node, field: str) -> list[str]:
    """The steps of a dotted field; dots in the name of an arm that the recipe has do not count."""
    arms = recipe.child("arms")
    if field.startswith("arms.") and arms is not None:
        rest = field.removeprefix("arms.")
        for name in sorted(arms.entries, key=len, reverse=True):
            if rest == name or rest.startswith(f"{name}."):
                return ["arms", name, *filter(None, rest.removeprefix(name).split("."))]
    return field.split(".")

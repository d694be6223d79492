"""`matrix:` -> arms: every combination of the values of its axes, each as a layer over the recipe."""

import itertools
import math
import re
from typing import Any

from mep.errors import Mistake
from mep.recipe.reader import Node
from mep.recipe.text import RecipeText
from mep.recipe.wording import find_near, show

MAX_ARMS = 256
"""Arms of a recipe, whether written or made by its matrix."""

Point = dict[str, Node]
"""One combination: the layer that each axis puts on, by the label of its value."""


def arms_of(matrix: Node | None, source: RecipeText) -> tuple[dict[str, list[Node]], list[Mistake]]:
    """Arm -> the layers that make it, and what is wrong with the combinations.

    What is not shaped like a matrix at all is left to validation.
    """
    axes = matrix.child("axes") if matrix else None
    if matrix is None or axes is None or not isinstance(axes.value, dict):
        return {}, []
    mistakes: list[Mistake] = []
    choices = {name: _choices(name, axis, source, mistakes) for name, axis in axes.value.items()}
    excluded = [_labels(one, choices, source, mistakes) for one in _items(matrix.child("exclude"))]
    n = math.prod(map(len, choices.values()))
    if n > MAX_ARMS:
        message = f"makes {n:,} combinations, at most {MAX_ARMS} arms are run"
        return {}, [*mistakes, source.mistake(message, axes.named_at, field="matrix.axes")]
    arms = {}
    for labels in itertools.product(*choices.values()):
        named = dict(zip(choices, labels, strict=True))
        if not any(one and one.items() <= named.items() for one in excluded):
            arms["_".join(labels)] = [choices[axis][label] for axis, label in named.items()]
    for included in _items(matrix.child("include")):
        point = _included(included, axes, choices, source, mistakes)
        if point:
            arms["_".join(point)] = list(point.values())
    return arms, mistakes


def overlay(field: list[str], node: Node) -> Node:
    """A layer that sets one field, as if it were written where the value is."""
    for key in reversed(field):
        node = Node({key: node}, node.place, node.place)
    return node


def _choices(name: str, axis: Node, source: RecipeText, mistakes: list[Mistake]) -> dict[str, Node]:
    """What an arm is called after each value of the axis, and the layer that it puts on."""
    field, values, variants = axis.child("field"), axis.child("values"), axis.child("variants")
    if variants and isinstance(variants.value, dict):
        return {label: node for label, node in variants.value.items() if isinstance(node.value, dict)}
    found: dict[str, Node] = {}
    if field and values and isinstance(field.value, str) and isinstance(values.value, list):
        for node in values.value:
            label = _label(name, node.plain())
            if label in found:
                message = f"gives an arm the name {label}, as another value does"
                hint = "name them yourself: variants: {NAME: {...}, ...}"
                mistakes.append(source.mistake(message, node.place, field=f"matrix.axes.{name}", hint=hint))
            found[label] = overlay(field.value.split("."), node)
    return found


def _label(axis: str, value: Any) -> str:
    """`k-33`: the axis and its value, as far as a name can show it."""
    chosen = value.get("kind", "") if isinstance(value, dict) else value
    text = str(chosen).lower() if isinstance(chosen, bool) else str(chosen)
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{axis}-{text}").strip("-.")[:64]


def _items(node: Node | None) -> list[Node]:
    found = node.value if node and isinstance(node.value, list) else []
    return [one for one in found if isinstance(one.value, dict)]


def _labels(
    point: Node, choices: dict[str, dict[str, Node]], source: RecipeText, mistakes: list[Mistake]
) -> dict[str, str] | None:
    """The labels that an excluded combination names; None where it names something that is not there."""
    labels = {}
    for axis, node in point.value.items():
        options = choices.get(axis)
        if options is None:
            mistakes.append(_no_axis(axis, node, choices, source, "exclude"))
            return None
        label = next((one for one in (str(node.value), _label(axis, node.value)) if one in options), None)
        if label is None:
            hint = find_near(node.value, list(options))
            message = f"{show(node.value)} is not on the axis {axis}"
            mistakes.append(source.mistake(message, node.place, field="matrix.exclude", hint=hint))
            return None
        labels[axis] = label
    return labels


def _included(
    point: Node, axes: Node, choices: dict[str, dict[str, Node]], source: RecipeText, mistakes: list[Mistake]
) -> Point | None:
    """Label -> layer of a combination that is added."""
    layers: Point = {}
    for axis, node in point.value.items():
        if axis not in choices:
            mistakes.append(_no_axis(axis, node, choices, source, "include"))
            return None
        field = axes.value[axis].child("field")
        if field:
            layers[_label(axis, node.value)] = overlay(str(field.value).split("."), node)
        elif str(node.value) in choices[axis]:
            layers[str(node.value)] = choices[axis][str(node.value)]
        else:
            hint = find_near(node.value, list(choices[axis]))
            message = f"{show(node.value)} is not a variant of {axis}"
            mistakes.append(source.mistake(message, node.place, field="matrix.include", hint=hint))
            return None
    return layers


def _no_axis(axis: str, node: Node, choices: dict[str, Any], source: RecipeText, where: str) -> Mistake:
    hint = find_near(axis, list(choices))
    return source.mistake(f"{show(axis)} is not an axis", node.named_at, field=f"matrix.{where}", hint=hint)

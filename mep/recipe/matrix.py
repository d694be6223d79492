"""`matrix:` -> arms: every combination of the values of its axes, each as a layer over the recipe."""

import itertools
import math
import re
from typing import TypeAlias

from mep.errors import Mistake, Place
from mep.recipe.node import Node, Plain
from mep.recipe.text import RecipeText
from mep.recipe.wording import find_near, show

MAX_ARMS = 256
"""Arms of a recipe, whether written or made by its matrix."""

Layers: TypeAlias = dict[str, Node]
"""What an arm is called after a value of an axis -> the layer that this value puts on."""


class Matrix:
    """
    arms        arm -> the layers that make it
    mistakes    what is wrong with the combinations; what is not shaped like a matrix at all is left to validation
    """

    def __init__(self, matrix: Node, source: RecipeText):
        self.source = source
        self.arms: dict[str, list[Node]] = {}
        self.mistakes: list[Mistake] = []
        axes = matrix.child("axes")
        if axes is None or not isinstance(axes.value, dict):
            return
        self.axes = {name: self._layers(name, axis) for name, axis in axes.value.items()}
        excluded = [self._excluded(point) for point in _points(matrix.child("exclude"))]
        n_combinations = math.prod(map(len, self.axes.values()))
        if n_combinations > MAX_ARMS:
            message = f"makes {n_combinations:,} combinations, at most {MAX_ARMS} arms are run"
            self._note(message, axes.named_at, "axes")
            return
        self._combine([labels for labels in excluded if labels])
        for point in _points(matrix.child("include")):
            if layers := self._included(point, axes):
                self.arms["_".join(layers)] = list(layers.values())

    def _combine(self, excluded: list[dict[str, str]]) -> None:
        """An arm for every combination but those that agree with an excluded one."""
        for labels in itertools.product(*self.axes.values()):
            combination = dict(zip(self.axes, labels, strict=True))
            if not any(point.items() <= combination.items() for point in excluded):
                self.arms["_".join(labels)] = [self.axes[axis][label] for axis, label in combination.items()]

    def _layers(self, name: str, axis: Node) -> Layers:
        """The layers that an axis can put on: its variants, or one for each of its values."""
        field, values, variants = axis.child("field"), axis.child("values"), axis.child("variants")
        if variants and isinstance(variants.value, dict):
            return {label: node for label, node in variants.value.items() if isinstance(node.value, dict)}
        layers: Layers = {}
        if not field or not values or not isinstance(field.value, str):
            return layers
        for node in values.items:
            label = _label(name, node.plain())
            if label in layers:
                message = f"gives an arm the name {label}, as another value does"
                self._note(message, node.place, f"axes.{name}", "name them yourself: variants: {NAME: {...}, ...}")
            layers[label] = _layer_of(field.value, node)
        return layers

    def _excluded(self, point: Node) -> dict[str, str] | None:
        """Axis -> label of an excluded combination; None where it names something that is not there."""
        labels = {}
        for axis, node in point.entries.items():
            if axis not in self.axes:
                self._note_no_axis(axis, node, "exclude")
                return None
            layers = self.axes[axis]
            label = next((text for text in (str(node.value), _label(axis, node.plain())) if text in layers), None)
            if label is None:
                hint = find_near(node.value, list(layers))
                self._note(f"{show(node.value)} is not on the axis {axis}", node.place, "exclude", hint)
                return None
            labels[axis] = label
        return labels

    def _included(self, point: Node, axes: Node) -> Layers | None:
        """The layers of a combination that is added; None where it names something that is not there."""
        layers: Layers = {}
        for axis, node in point.entries.items():
            if axis not in self.axes:
                self._note_no_axis(axis, node, "include")
                return None
            variant = str(node.value)
            if field := axes.entries[axis].child("field"):
                layers[_label(axis, node.plain())] = _layer_of(str(field.value), node)
            elif variant in self.axes[axis]:
                layers[variant] = self.axes[axis][variant]
            else:
                hint = find_near(node.value, list(self.axes[axis]))
                self._note(f"{show(node.value)} is not a variant of {axis}", node.place, "include", hint)
                return None
        return layers

    def _note_no_axis(self, axis: str, node: Node, key: str) -> None:
        self._note(f"{show(axis)} is not an axis", node.named_at, key, find_near(axis, list(self.axes)))

    def _note(self, message: str, place: Place, key: str, hint: str = "") -> None:
        self.mistakes.append(self.source.mistake(message, place, field=f"matrix.{key}", hint=hint))


def _points(combinations: Node | None) -> list[Node]:
    """The combinations of `exclude` or `include`."""
    return [point for point in combinations.items if isinstance(point.value, dict)] if combinations else []


def _layer_of(field: str, node: Node) -> Node:
    """A layer that sets one field, as if it were written where the value is."""
    for key in reversed(field.split(".")):
        node = Node({key: node}, node.place, node.place)
    return node


def _label(axis: str, value: Plain) -> str:
    """`k-33`: the axis and its value, as far as a name can show it."""
    chosen = value.get("kind", "") if isinstance(value, dict) else value
    text = str(chosen).lower() if isinstance(chosen, bool) else str(chosen)
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{axis}-{text}").strip("-.")[:64]

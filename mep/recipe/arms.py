"""The arms of a recipe: those that are written under `arms:`, then those that its matrix makes."""

import itertools
import math
import re
from typing import TypeAlias

from mep.errors import Place
from mep.recipe.controls import CONTROL_ARMS
from mep.recipe.model import NAME, Experiment
from mep.recipe.node import Node, Plain
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.text import MistakeLog, RecipeText
from mep.recipe.wording import find_near, show, spell

MAX_ARMS = 256
"""Arms of a recipe, whether written or made by its matrix."""
Layers: TypeAlias = dict[str, Node]
"""What an arm is called after a value of an axis -> the layer that this value puts on."""


class ArmLayers(MistakeLog):
    """The `layers` of every arm: what is merged over the common part of the recipe. A wrong arm is left out."""

    def __init__(self, recipe: Node, source: RecipeText):
        super().__init__(source)
        self.layers: dict[str, list[Node]] = {}
        if arms := recipe.child("arms"):
            self._add_written(arms)
        if matrix := recipe.child("matrix"):
            self._add_made(matrix, recipe.place)
        if len(self.layers) > MAX_ARMS:
            where = (recipe.child("matrix") or recipe.child("arms") or recipe).named_at
            self.note(f"makes {len(self.layers)} arms, at most {MAX_ARMS} are run", where)
        self.mistakes = list(dict.fromkeys(self.mistakes))

    def _add_written(self, arms: Node) -> None:
        if not isinstance(arms.value, dict):
            message = f"found {show(arms.value)}, wanted a mapping from names to what changes"
            self.note(message, arms.place, field="arms")
        for name, arm in arms.entries.items():
            if problem := _problem_of_name(name):
                self.note(f"{show(name)} cannot name an arm", arm.named_at, field="arms", hint=problem)
            elif not isinstance(arm.value, dict):
                message = f"found {show(arm.value)}, wanted a mapping of what changes"
                hint = "write {} for an arm that changes nothing"
                self.note(message, arm.place, field=f"arms.{name}", hint=hint)
            else:
                self.layers[name] = [self._checked(arm, f"arms.{name}")]

    def _add_made(self, matrix: Node, top: Place) -> None:
        made = Matrix(matrix, self.source)
        self.mistakes += made.mistakes
        for name, layers in made.arms.items():
            place = layers[0].place if layers else top
            if name in self.layers:
                hint = "give the arm, the axis or the variant another name"
                self.note(f"makes a second arm {show(name)}", place, field="matrix", hint=hint)
            elif problem := _problem_of_name(name):
                self.note(f"makes an arm {show(name)}", place, field="matrix", hint=problem)
            else:
                self.layers[name] = [self._checked(layer, "matrix") for layer in layers]

    def _checked(self, layer: Node, field: str) -> Node:
        """The layer of an arm without the keys that an arm cannot have, which are noted."""
        wrong = {key: node for key, node in layer.entries.items() if key not in Experiment.model_fields}
        for key, node in wrong.items():
            if key in RecipeFile.model_fields:
                message, hint = "is the same for all arms", "move it to the top of the recipe"
            else:
                message, hint = "unknown key", find_near(key, list(Experiment.model_fields))
            self.note(message, node.named_at, field=f"{field}.{key}", hint=hint)
        return layer.without(*wrong)


def _problem_of_name(name: str) -> str:
    if name in CONTROL_ARMS:
        return f"it is the name of a control, which `controls: [{name.removeprefix('control-')}]` adds"
    if re.fullmatch(NAME.rstrip("$"), name):
        return ""
    return "up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit"


class Matrix(MistakeLog):
    """The `arms` of a matrix, each with its layers. What is not shaped like a matrix at all is left to validation."""

    def __init__(self, matrix: Node, source: RecipeText):
        super().__init__(source)
        self.arms: dict[str, list[Node]] = {}
        axes = matrix.child("axes")
        if axes is None or not isinstance(axes.value, dict):
            return
        self.axes = {name: self._layers(name, axis) for name, axis in axes.value.items()}
        excluded = [self._excluded(point) for point in _points(matrix.child("exclude"))]
        n_combinations = math.prod(map(len, self.axes.values()))
        if n_combinations > MAX_ARMS:
            message = f"makes {n_combinations:,} combinations, at most {MAX_ARMS} arms are run"
            self.note(message, axes.named_at, field="matrix.axes")
            return
        self._combine([labels for labels in excluded if labels])
        for point in _points(matrix.child("include")):
            if layers := self._included(point, axes):
                self.arms["_".join(layers)] = list(layers.values())

    def _combine(self, excluded: list[dict[str, str]]) -> None:
        for labels in itertools.product(*self.axes.values()):
            combination = dict(zip(self.axes, labels, strict=True))
            if not any(point.items() <= combination.items() for point in excluded):
                self.arms["_".join(labels)] = [self.axes[axis][label] for axis, label in combination.items()]

    def _layers(self, name: str, axis: Node) -> Layers:
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
                hint = "name them yourself: variants: {NAME: {...}, ...}"
                self.note(message, node.place, field=f"matrix.axes.{name}", hint=hint)
            layers[label] = _layer_of(field.value, node)
        return layers

    def _excluded(self, point: Node) -> dict[str, str] | None:
        """Axis -> label of an excluded combination; None where it names something that is not there."""
        labels = {}
        for axis, node in point.entries.items():
            if axis not in self.axes:
                self._note_no_axis(axis, node, "matrix.exclude")
                return None
            layers = self.axes[axis]
            label = next((text for text in (str(node.value), _label(axis, node.plain())) if text in layers), None)
            if label is None:
                hint = find_near(node.value, list(layers))
                message = f"{show(node.value)} is not on the axis {axis}"
                self.note(message, node.place, field="matrix.exclude", hint=hint)
                return None
            labels[axis] = label
        return labels

    def _included(self, point: Node, axes: Node) -> Layers | None:
        """The layers of a combination that is added; None where it names something that is not there."""
        layers: Layers = {}
        for axis, node in point.entries.items():
            if axis not in self.axes:
                self._note_no_axis(axis, node, "matrix.include")
                return None
            variant = str(node.value)
            if field := axes.entries[axis].child("field"):
                layers[_label(axis, node.plain())] = _layer_of(str(field.value), node)
            elif variant in self.axes[axis]:
                layers[variant] = self.axes[axis][variant]
            else:
                hint = find_near(node.value, list(self.axes[axis]))
                message = f"{show(node.value)} is not a variant of {axis}"
                self.note(message, node.place, field="matrix.include", hint=hint)
                return None
        return layers

    def _note_no_axis(self, axis: str, node: Node, field: str) -> None:
        hint = find_near(axis, list(self.axes))
        self.note(f"{show(axis)} is not an axis", node.named_at, field=field, hint=hint)


def _points(combinations: Node | None) -> list[Node]:
    return [point for point in combinations.items if isinstance(point.value, dict)] if combinations else []


def _layer_of(field: str, node: Node) -> Node:
    """A layer that sets one field, as if it were written where the value is."""
    for key in reversed(field.split(".")):
        node = Node({key: node}, node.place, node.place)
    return node


def _label(axis: str, value: Plain) -> str:
    """`k-33`: the axis and its value, as far as a name can show it."""
    chosen = value.get("kind", "") if isinstance(value, dict) else value
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{axis}-{spell(chosen)}").strip("-.")[:64]

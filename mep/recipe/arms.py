"""The arms of a recipe: those that are written under `arms:`, then those that its matrix makes."""

import re

from mep.errors import Mistake, Place
from mep.recipe.matrix import MAX_ARMS, Matrix
from mep.recipe.model import NAME, Experiment, RecipeFile
from mep.recipe.node import Node
from mep.recipe.text import RecipeText
from mep.recipe.wording import find_near, show


class ArmLayers:
    """
    layers      arm -> the layers that are merged over the common part of the recipe
    mistakes    what is wrong with the arms that are left out
    """

    def __init__(self, recipe: Node, source: RecipeText):
        self.source = source
        self.layers: dict[str, list[Node]] = {}
        self.mistakes: list[Mistake] = []
        if arms := recipe.child("arms"):
            self._add_written(arms)
        if matrix := recipe.child("matrix"):
            self._add_made(matrix, recipe.place)
        if len(self.layers) > MAX_ARMS:
            where = (recipe.child("matrix") or recipe.child("arms") or recipe).named_at
            self._note(f"makes {len(self.layers)} arms, at most {MAX_ARMS} are run", where)
        self.mistakes = list(dict.fromkeys(self.mistakes))

    def _add_written(self, arms: Node) -> None:
        if not isinstance(arms.value, dict):
            message = f"found {show(arms.value)}, wanted a mapping from names to what changes"
            self._note(message, arms.place, field="arms")
        for name, arm in arms.entries.items():
            if problem := _problem_of_name(name):
                self._note(f"{show(name)} cannot name an arm", arm.named_at, field="arms", hint=problem)
            elif not isinstance(arm.value, dict):
                message = f"found {show(arm.value)}, wanted a mapping of what changes"
                hint = "write {} for an arm that changes nothing"
                self._note(message, arm.place, field=f"arms.{name}", hint=hint)
            else:
                self.layers[name] = [self._checked(arm, f"arms.{name}")]

    def _add_made(self, matrix: Node, top: Place) -> None:
        made = Matrix(matrix, self.source)
        self.mistakes += made.mistakes
        for name, layers in made.arms.items():
            place = layers[0].place if layers else top
            if name in self.layers:
                hint = "give the arm, the axis or the variant another name"
                self._note(f"makes a second arm {show(name)}", place, field="matrix", hint=hint)
            elif problem := _problem_of_name(name):
                self._note(f"makes an arm {show(name)}", place, field="matrix", hint=problem)
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
            self._note(message, node.named_at, field=f"{field}.{key}", hint=hint)
        return layer.without(*wrong)

    def _note(self, message: str, place: Place, *, field: str = "", hint: str = "") -> None:
        self.mistakes.append(self.source.mistake(message, place, field=field, hint=hint))


def _problem_of_name(name: str) -> str:
    """What the name of an arm has to be, where this is none."""
    if re.fullmatch(NAME.rstrip("$"), name):
        return ""
    return "up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit"

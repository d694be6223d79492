"""Load a recipe: compose its layers, check every arm once, and report all mistakes together."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from mep.errors import Mistake, Place, RecipeError
from mep.machine.settings import MachineConfig
from mep.recipe.compose import Composition, compose
from mep.recipe.explain import Explainer
from mep.recipe.model import Experiment, repeat_name
from mep.recipe.node import Node, Plain
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.wording import dotted


@dataclass(frozen=True)
class Recipe:
    """
    file        as it was given
    text        the recipe as it is written
    arms        name -> experiment, in order; the first is the baseline; `main` where the recipe names no arms;
                `NAME#2`, `NAME#3` ... are the repeats of an arm from other seeds
    controls    what it asks for under `controls:`
    skipped     control -> why it is not among the arms
    locked      what the recipe was run with, where it is a lock
    origins     arm -> dotted field -> where its value was written; fields left to their defaults are absent
    """

    file: Path
    text: str
    name: str
    description: str
    modality: str
    machine: MachineConfig
    seeds: int
    controls: tuple[str, ...]
    skipped: dict[str, str]
    locked: dict[str, Plain] | None
    arms: dict[str, Experiment]
    origins: dict[str, dict[str, Place]]

    def origin_of(self, arm: str, field: str) -> str:
        """Where the value of a field comes from: file:line:column, a modality, --set or default."""
        places = self.origins[arm]
        place = places.get(field) or (places.get(field.removesuffix(".kind")) if field.endswith(".kind") else None)
        return str(place or "default")

    def place_of(self, arm: str, field: str) -> Place | None:
        """Where a field of an arm was written, or the nearest section around it."""
        steps = field.split(".")
        fields = (".".join(steps[:n]) for n in range(len(steps), 0, -1))
        return next((self.origins[arm][name] for name in fields if name in self.origins[arm]), None)


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, paths_must_exist: bool = True) -> Recipe:
    """The recipe in a file, with `field=value` overrides on top; RecipeError with everything that is wrong with it.

    paths_must_exist    refuse a recipe that names a file or a folder which is not there
    """
    file = Path(path)
    composition = compose(file, overrides)
    context = {"folder": Path(os.path.abspath(file)).parent, "paths_must_exist": paths_must_exist}
    recipes: dict[str, RecipeFile] = {}
    mistakes_of: dict[str, list[Mistake]] = {}
    for arm, values in composition.arms.items():
        explainer = Explainer(values, composition.source)
        try:
            recipes[arm] = RecipeFile.model_validate(values.plain(), context=context)
            mistakes_of[arm] = list(explainer.booleans_for_numbers(recipes[arm]))
        except ValidationError as error:
            mistakes_of[arm] = explainer.explain(error)
    if mistakes := _gathered(mistakes_of, composition):
        raise RecipeError(sorted(mistakes, key=_reading_order))
    return _loaded(file, composition, recipes)


def _loaded(file: Path, composition: Composition, recipes: dict[str, RecipeFile]) -> Recipe:
    first = next(iter(recipes.values()))
    arms = {
        arm: Experiment.model_construct(**{name: getattr(recipe, name) for name in Experiment.model_fields})
        for arm, recipe in recipes.items()
    }
    origins = {arm: _origins(values) for arm, values in composition.arms.items()}
    # what was made elsewhere is there once, however often other arms are trained
    trainings = [(n, arm) for n in range(1, first.seeds + 1) for arm in arms if n == 1 or not arms[arm].made_elsewhere]
    return Recipe(
        file=file,
        text=composition.source.text,
        name=first.name,
        description=first.description,
        modality=first.modality,
        machine=first.machine,
        seeds=first.seeds,
        controls=first.controls,
        skipped=composition.skipped,
        locked=first.locked.model_dump() if first.locked else None,
        arms={repeat_name(arm, n): arms[arm] for n, arm in trainings},
        origins={repeat_name(arm, n): origins[arm] for n, arm in trainings},
    )


def _gathered(mistakes_of: dict[str, list[Mistake]], composition: Composition) -> list[Mistake]:
    """Mistakes of the layers and of all arms: those of the common part once, the others with the name of their arm."""
    arms_with: dict[Mistake, list[str]] = {}
    for arm, mistakes in mistakes_of.items():
        for mistake in mistakes:
            arms_with.setdefault(mistake, []).append(arm)
    gathered = list(composition.mistakes)
    places = {mistake.place for mistake in composition.mistakes}
    for mistake, arms in arms_with.items():
        if mistake.place in places:
            continue
        if mistake.place in composition.written_in[arms[0]]:
            mistake = replace(mistake, field=f"arms.{arms[0]}.{mistake.field}")
        elif len(arms) < len(mistakes_of):
            mistake = replace(mistake, message=f"{mistake.message} (in arm {', '.join(arms)})")
        gathered.append(mistake)
    return gathered


def _reading_order(mistake: Mistake) -> tuple[bool, str, int, int]:
    """Mistakes of each file from top to bottom, then those of the command line."""
    place = mistake.place or Place("")
    return place.line == 0, place.file if place.line else "", place.line, place.column


def _origins(root: Node) -> dict[str, Place]:
    return {
        dotted(path): Place("--set") if node.place.file.startswith("--set ") else node.place
        for path, node in root.walk()
        if path
    }

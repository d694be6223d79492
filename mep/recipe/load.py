"""Load a recipe: read, compose, validate every arm, and report all mistakes at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mep.errors import Mistake, Place, RecipeError
from mep.recipe.compose import compose
from mep.recipe.explain import validate
from mep.recipe.layers import read_layers
from mep.recipe.model import Experiment, MachineConfig, RecipeFile, repeat_name
from mep.recipe.reader import Node
from mep.recipe.wording import dotted


@dataclass(frozen=True)
class Recipe:
    """
    file        as it was given
    text        the recipe as it is written
    arms        name -> experiment, in order; the first is the baseline; `main` where the recipe names no arms;
                `NAME#2`, `NAME#3` ... are the repeats of an arm from other seeds
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
    locked: dict[str, Any] | None
    arms: dict[str, Experiment]
    origins: dict[str, dict[str, Place]]

    def origin_of(self, arm: str, field: str) -> str:
        """Where the value of a field comes from: file:line:column, a modality, --set or default."""
        known = self.origins[arm]
        place = known.get(field) or (known.get(field.removesuffix(".kind")) if field.endswith(".kind") else None)
        return str(place or "default")

    def place_of(self, arm: str, field: str) -> Place | None:
        """Where a field of an arm was written, or the nearest section around it."""
        steps = field.split(".")
        fields = (".".join(steps[:n]) for n in range(len(steps), 0, -1))
        return next((self.origins[arm][name] for name in fields if name in self.origins[arm]), None)


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, paths_must_exist: bool = True) -> Recipe:
    """The recipe in a file, with `field=value` overrides on top.

    paths_must_exist    refuse a recipe that names a file or a folder which is not there

    RecipeError     everything that is wrong with it
    """
    file = Path(path)
    layers = read_layers(file)
    source = layers.source
    composed = compose(layers.root, source, overrides)
    folder = Path(os.path.abspath(file)).parent
    loaded: dict[str, RecipeFile | None] = {}
    found: dict[str, list[Mistake]] = {}
    for arm, values in composed.arms.items():
        loaded[arm], found[arm] = validate(values, source, folder, paths_must_exist)
    mistakes = layers.mistakes + composed.mistakes
    known = {mistake.place for mistake in mistakes}
    mistakes += [mistake for mistake in _gathered(found, composed.own) if mistake.place not in known]
    if mistakes:
        raise RecipeError(sorted(mistakes, key=_reading_order))
    recipes = {arm: recipe for arm, recipe in loaded.items() if recipe is not None}
    first = next(iter(recipes.values()))
    experiments = {arm: _experiment(recipe) for arm, recipe in recipes.items()}
    origins = {arm: _origins(composed.arms[arm]) for arm in recipes}
    repeats = range(1, first.seeds + 1)
    return Recipe(
        file=file,
        text=source.text,
        name=first.name,
        description=first.description,
        modality=first.modality,
        machine=first.machine,
        seeds=first.seeds,
        locked=first.locked.model_dump() if first.locked else None,
        arms={repeat_name(arm, n): experiment for n in repeats for arm, experiment in experiments.items()},
        origins={repeat_name(arm, n): origin for n in repeats for arm, origin in origins.items()},
    )


def _gathered(found: dict[str, list[Mistake]], own: dict[str, set[Place]]) -> list[Mistake]:
    """Mistakes of all arms: those of the common part once, the others with the name of their arm."""
    arms_of: dict[Mistake, list[str]] = {}
    for arm, mistakes in found.items():
        for mistake in mistakes:
            arms_of.setdefault(mistake, []).append(arm)
    gathered = []
    for mistake, arms in arms_of.items():
        if mistake.place in own[arms[0]]:
            mistake = replace(mistake, field=f"arms.{arms[0]}.{mistake.field}")
        elif len(arms) < len(found):
            mistake = replace(mistake, message=f"{mistake.message} (in arm {', '.join(arms)})")
        gathered.append(mistake)
    return gathered


def _reading_order(mistake: Mistake) -> tuple[bool, str, int, int]:
    """Mistakes of each file from top to bottom, then those of the command line."""
    place = mistake.place or Place("")
    return place.line == 0, place.file if place.line else "", place.line, place.column


def _experiment(recipe: RecipeFile) -> Experiment:
    """The experiment in a recipe file; its parts are valid already."""
    return Experiment.model_validate({name: getattr(recipe, name) for name in Experiment.model_fields})


def _origins(root: Node) -> dict[str, Place]:
    def origin(place: Place) -> Place:
        return Place("--set") if place.file.startswith("--set ") else place

    return {dotted(path): origin(node.place) for path, node in root.walk() if path}

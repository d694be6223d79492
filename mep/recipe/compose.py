"""A recipe file and its overrides -> one tree of values for every arm.

Later wins: the modality's base layer, the files that the recipe extends, the recipe itself, one of its arms, `--set
field=value`. Mappings merge key by key, everything else replaces. A method of another `kind` replaces too: the fields
of the old one mean nothing to it. `load` checks what comes out.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args, get_origin

import mep
from mep.config import Anchored
from mep.errors import Mistake, Place, RecipeError, printable
from mep.recipe.annotations import inside, is_config, is_family
from mep.recipe.arms import ArmLayers
from mep.recipe.controls import control_layers
from mep.recipe.model import Experiment
from mep.recipe.node import Node
from mep.recipe.reader import parse, parse_recipe
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.text import RecipeText, read_file
from mep.recipe.variables import Variables
from mep.recipe.wording import show
from mep.registry import member

MAX_FILES = 32
"""Files that a recipe and those that it extends may be, each counted as often as it is named."""
SHAPING = ("arms", "matrix", "vars")
"""Keys that tell what the arms are; an override of one applies before the arms are made."""
MAIN = "main"
"""Name of the only arm of a recipe that names none."""

UNTRAINED = parse_recipe(RecipeText("samples", "training: {steps: 1}"))
"""Below an arm whose samples or model were made elsewhere: it need not say for how many steps it is trained."""


@dataclass(frozen=True)
class Composition:
    """
    source      text of the recipe, with those of the files that it extends beside
    arms        arm -> everything it is made of, shaped like a recipe file without arms; the first is the baseline
    written_in  arm -> places in the part of the recipe that only this arm has
    mistakes    what is wrong with the layers themselves
    skipped     control that the recipe asks for -> why it cannot be run
    """

    source: RecipeText
    arms: dict[str, Node]
    written_in: dict[str, set[Place]]
    mistakes: list[Mistake]
    skipped: dict[str, str] = field(default_factory=dict)


def compose(file: Path, overrides: Sequence[str]) -> Composition:
    """All layers of a recipe merged, arm by arm; RecipeError where a file is no YAML mapping, or of another format."""
    files = _Files(file.parent)
    recipe = files.read(file, ())
    source = replace(files.texts[0], beside=tuple(files.texts[1:]))
    layers, mistakes = _read_overrides(recipe, overrides)
    for layer in filter(_shapes_arms, layers):
        recipe = merge(recipe, layer)
    variables = Variables(recipe, source)
    recipe = variables.fill(recipe)
    on_top = [variables.fill(layer) for layer in layers if not _shapes_arms(layer)]
    arms = ArmLayers(recipe, source)
    common = recipe.without("arms")
    modality = RecipeFile.model_fields["modality"]
    named = [node.value for layer in (common, *on_top) if (node := layer.child("modality"))]
    is_known = named and named[-1] in get_args(modality.annotation)  # another one is refused by validation
    base = merge(modality_layer(str(named[-1] if is_known else modality.default)), common)
    merged, written_in = {}, {}
    for name, own_layers in (arms.layers or {MAIN: []}).items():
        merged[name] = base
        for layer in [*own_layers, *on_top]:
            merged[name] = merge(merged[name], layer)
        if merged[name].child("samples"):
            merged[name] = merge(UNTRAINED, merged[name])
        nodes = [node for layer in own_layers for path, node in layer.walk() if path]
        written_in[name] = {place for node in nodes for place in (node.place, node.named_at)}
    baseline = next(iter(merged.values()))
    controls = control_layers(merged, baseline.child("controls"))
    for name, (arm, layer) in controls.layers.items():
        merged[name], written_in[name] = merge(merged[arm], layer), written_in[arm]
    found = [*files.mistakes, *mistakes, *variables.mistakes, *arms.mistakes]
    return Composition(source, merged, written_in, found, controls.skipped)


def _read_overrides(recipe: Node, overrides: Sequence[str]) -> tuple[list[Node], list[Mistake]]:
    layers: list[Node] = []
    mistakes: list[Mistake] = []
    for override in overrides:
        try:
            layers.append(_override_layer(recipe, override))
        except RecipeError as error:
            mistakes += error.mistakes
    return layers, mistakes


def _shapes_arms(layer: Node) -> bool:
    return any(layer.child(key) for key in SHAPING)


def _override_layer(recipe: Node, override: str) -> Node:
    """`a.b=v` as {a: {b: v}}; RecipeError where it is no field=value, or sets what cannot be set."""
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


@dataclass
class _Files:
    """Reads a recipe and below it those that it extends, which have to lie in its folder or below."""

    folder: Path
    texts: list[RecipeText] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, file: Path, above: tuple[Path, ...]) -> Node:
        """The file merged over those that it extends; `above` are the files that led to it."""
        source = read_file(file)
        self.texts.append(source)
        root = parse_recipe(source)
        if above:
            root = root.map(lambda node: _anchored(node, file.parent))
        below: Node | None = None
        extends = root.child("extends") or Node([], root.place)
        for node in extends.items if isinstance(extends.value, list) else [extends]:
            if not isinstance(node.value, str):
                message = f"found {show(node.value)}, wanted a file or a list of files"
                self.mistakes.append(source.mistake(message, node.place, field="extends"))
            elif problem := self._problem(file, node.value, (*above, file)):
                hint = "a recipe extends files that lie in its folder or below, named from where it lies"
                message = f"{show(node.value)} {problem}"
                self.mistakes.append(source.mistake(message, node.place, field="extends", hint=hint))
            else:
                layer = self.read(Path(os.path.normpath(file.parent / node.value)), (*above, file))
                below = merge(below, layer) if below else layer
        root = root.without("extends")
        return merge(below, root) if below else root

    def _problem(self, file: Path, target: str, above: tuple[Path, ...]) -> str:
        """Why a file cannot be extended; empty where it can."""
        try:
            path = Path(os.path.normpath(file.parent / target))
            real, home = path.resolve(strict=True), self.folder.resolve()
        except (OSError, ValueError, RuntimeError):  # absent, a zero byte, a ring of links
            return "does not exist"
        if Path(target).is_absolute() or home not in real.parents:
            return "lies outside the recipe's folder"
        if not real.is_file():
            return "is not a file"
        if real in [upper.resolve() for upper in above]:
            return f"extends itself: {' -> '.join([*(upper.name for upper in above), path.name])}"
        return f"is one of more than {MAX_FILES} files" if len(self.texts) >= MAX_FILES else ""


def _anchored(node: Node, folder: Path) -> Node:
    return replace(node, value=Anchored.at(node.value, folder)) if isinstance(node.value, str) else node


def merge(below: Node, above: Node, annotation: object = RecipeFile) -> Node:
    """The values of both; where both have one, that of `above`. The schema tells which values are methods."""
    if is_family(annotation):
        below, above = _spell_out(below), _spell_out(above)
        if below.kind and above.kind and below.kind != above.kind:
            return above
        annotation = member(annotation, str(above.kind or below.kind))
    if not isinstance(below.value, dict) or not isinstance(above.value, dict):
        return above
    values = dict(below.value)
    for key, node in above.value.items():
        values[key] = merge(values[key], node, _annotation_under(annotation, key)) if key in values else node
    # A section belongs to the first line of the recipe that names it, so that a mistake of all arms has one place.
    first = below if below.place.line else above
    return Node(values, first.place, first.key)


def _spell_out(node: Node) -> Node:
    return Node({"kind": node}, node.place, node.key) if isinstance(node.value, str) else node


def _annotation_under(annotation: object, key: str) -> object:
    if key == "arms" and annotation is RecipeFile:
        return dict[str, Experiment]
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if not is_config(annotation) or key not in annotation.model_fields:
        return None
    return inside(annotation.model_fields[key].annotation, items=False)


@cache
def modality_layer(name: str) -> Node:
    """The base layer of a modality, shipped with mep."""
    text = (Path(mep.__file__).parent / "modalities" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_recipe(RecipeText(f"modality {name}", text))

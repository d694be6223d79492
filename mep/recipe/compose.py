"""Layers of a recipe -> one tree of values for every arm.

Later wins: the modality's base layer, the files that the recipe extends, the recipe itself, one of its arms, `--set
field=value`. Mappings merge key by key, everything else replaces. A method of another `kind` replaces too: the fields
of the old one mean nothing to it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import mep
from mep.errors import Mistake, Place, RecipeError, printable
from mep.recipe.matrix import MAX_ARMS, arms_of
from mep.recipe.model import NAME, Experiment, RecipeFile
from mep.recipe.reader import Node, parse, parse_recipe, without
from mep.recipe.text import RecipeText
from mep.recipe.variables import substituted, variables_of
from mep.recipe.wording import find_near, inside, is_config, is_family, show
from mep.registry import member

SHAPING = ("arms", "matrix", "vars")
"""Keys that tell what the arms are; an override of one applies before the arms are made."""

MAIN = "main"
"""Name of the only arm of a recipe that names none."""


@dataclass(frozen=True)
class Composition:
    """
    arms        arm -> everything it is made of, shaped like a recipe file without arms; the first is the baseline
    own         arm -> places in the part of the recipe that only this arm has
    mistakes    what is wrong with the layers themselves
    """

    arms: dict[str, Node]
    own: dict[str, set[Place]]
    mistakes: list[Mistake]


def compose(recipe: Node, source: RecipeText, overrides: Sequence[str]) -> Composition:
    """All layers merged, arm by arm."""
    overlays, mistakes = _overlays(recipe, overrides)
    for overlay in overlays:
        if any(overlay.child(key) for key in SHAPING):
            recipe = merge(recipe, overlay)
    variables = variables_of(recipe)
    recipe, unfilled = substituted(recipe, variables, source)
    mistakes += unfilled
    on_top = []
    for overlay in overlays:
        if not any(overlay.child(key) for key in SHAPING):
            filled, unfilled = substituted(overlay, variables, source)
            on_top.append(filled)
            mistakes += unfilled
    arms, more = _all_arms(recipe, source)
    common = without(recipe, {"arms"})
    base = merge(modality_layer(_modality([common, *on_top])), common)
    merged, own = {}, {}
    for name, layers in (arms or {MAIN: []}).items():
        merged[name] = base
        for layer in [*layers, *on_top]:
            merged[name] = merge(merged[name], layer)
        own[name] = {place for layer in layers for place in _places(layer)}
    return Composition(merged, own, mistakes + more)


def _places(arm: Node) -> set[Place]:
    """Of everything in an arm, keys and values."""
    return {place for path, node in arm.walk() if path for place in (node.place, node.named_at)}


def merge(below: Node, above: Node, wanted: Any = RecipeFile) -> Node:
    """The values of both; where both have one, that of `above`. The schema tells which values are methods."""
    if is_family(wanted):
        below, above = _spell_out(below), _spell_out(above)
        if below.kind and above.kind and below.kind != above.kind:
            return above
        wanted = member(wanted, str(above.kind or below.kind))
    if not isinstance(below.value, dict) or not isinstance(above.value, dict):
        return above
    values = dict(below.value)
    for key, node in above.value.items():
        values[key] = merge(values[key], node, _wanted_under(wanted, key)) if key in values else node
    # A section belongs to the first line of the recipe that names it, so that a mistake of all arms has one place.
    first = below if below.place.line else above
    return Node(values, first.place, first.key)


def _spell_out(node: Node) -> Node:
    """`hsv` as `{kind: hsv}`."""
    return Node({"kind": node}, node.place, node.key) if isinstance(node.value, str) else node


def _wanted_under(wanted: Any, key: str) -> Any:
    """What the schema wants under a key; None where it knows no such key."""
    if key == "arms" and wanted is RecipeFile:
        return dict[str, Experiment]
    if get_origin(wanted) is dict:
        return get_args(wanted)[1]
    field = wanted.model_fields.get(key) if is_config(wanted) else None
    return inside(field.annotation, items=False) if field else None


@cache
def modality_layer(name: str) -> Node:
    """The base layer of a modality, shipped with mep."""
    text = (Path(mep.__file__).parent / "modalities" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_recipe(RecipeText(f"modality {name}", text))


def _modality(layers: list[Node]) -> str:
    """The modality named last; the default where none or an unknown one is named, which validation reports."""
    field = RecipeFile.model_fields["modality"]
    named = [node.value for layer in layers if (node := layer.child("modality"))]
    return named[-1] if named and named[-1] in get_args(field.annotation) else str(field.default)


def _all_arms(recipe: Node, source: RecipeText) -> tuple[dict[str, list[Node]], list[Mistake]]:
    """The layers of every arm, those that are written first and then those of the matrix, and what is wrong."""
    arms, mistakes = _written_arms(recipe.child("arms"), source)
    made, more = arms_of(recipe.child("matrix"), source)
    mistakes += more
    for name, layers in made.items():
        place = layers[0].place if layers else recipe.place
        if name in arms:
            hint = "give the arm, the axis or the variant another name"
            mistakes.append(source.mistake(f"makes a second arm {show(name)}", place, field="matrix", hint=hint))
        elif problem := _unfit(name):
            mistakes.append(source.mistake(f"makes an arm {show(name)}", place, field="matrix", hint=problem))
        else:
            arms[name] = [_checked(layer, "matrix", source, mistakes) for layer in layers]
    if len(arms) > MAX_ARMS:
        where = recipe.child("matrix") or recipe.child("arms") or recipe
        mistakes.append(source.mistake(f"makes {len(arms)} arms, at most {MAX_ARMS} are run", where.named_at))
    return arms, list(dict.fromkeys(mistakes))


def _written_arms(arms: Node | None, source: RecipeText) -> tuple[dict[str, list[Node]], list[Mistake]]:
    """The arms under `arms:` that can be merged, and what is wrong with the others."""
    if arms is None:
        return {}, []
    if not isinstance(arms.value, dict):
        message = f"found {show(arms.value)}, wanted a mapping from names to what changes"
        return {}, [source.mistake(message, arms.place, field="arms")]
    good: dict[str, list[Node]] = {}
    mistakes: list[Mistake] = []
    for name, arm in arms.value.items():
        if problem := _unfit(name):
            mistakes.append(
                source.mistake(f"{show(name)} cannot name an arm", arm.named_at, field="arms", hint=problem)
            )
        elif not isinstance(arm.value, dict):
            message = f"found {show(arm.value)}, wanted a mapping of what changes"
            hint = "write {} for an arm that changes nothing"
            mistakes.append(source.mistake(message, arm.place, field=f"arms.{name}", hint=hint))
        else:
            good[name] = [_checked(arm, f"arms.{name}", source, mistakes)]
    return good, mistakes


def _unfit(name: str) -> str:
    """What the name of an arm has to be, where this is none."""
    if re.fullmatch(NAME.rstrip("$"), name):
        return ""
    return "up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit"


def _checked(layer: Node, field: str, source: RecipeText, mistakes: list[Mistake]) -> Node:
    """The layer of an arm without the keys that an arm cannot have, which are noted."""
    wrong = [key for key in layer.value if key not in Experiment.model_fields]
    mistakes += [_not_in_an_arm(f"{field}.{key}", key, layer.value[key].named_at, source) for key in wrong]
    return without(layer, set(wrong))


def _not_in_an_arm(field: str, key: str, place: Place, source: RecipeText) -> Mistake:
    if key in RecipeFile.model_fields:
        return source.mistake("is the same for all arms", place, field=field, hint="move it to the top of the recipe")
    return source.mistake("unknown key", place, field=field, hint=find_near(key, list(Experiment.model_fields)))


def _overlays(recipe: Node, overrides: Sequence[str]) -> tuple[list[Node], list[Mistake]]:
    """A layer for every override, and what is wrong with the others."""
    overlays: list[Node] = []
    mistakes: list[Mistake] = []
    for override in overrides:
        try:
            overlays.append(_overlay(recipe, override))
        except RecipeError as error:
            mistakes += error.mistakes
    return overlays, mistakes


def _overlay(recipe: Node, override: str) -> Node:
    """`a.b=v` as {a: {b: v}}."""
    origin = f"--set {printable(override)}"
    field, sign, value = override.partition("=")
    keys = _keys(recipe, field.strip())
    if not sign or not all(keys):
        raise RecipeError([Mistake("", "wanted field=value, such as training.steps=100", Place(origin))])
    if keys[0] == "extends":
        raise RecipeError([Mistake("", "what a recipe extends is written in it", Place(origin))])
    if any(key.isdecimal() for key in keys) and keys[0] not in SHAPING:
        raise RecipeError(
            [Mistake("", "a list is set as a whole", Place(origin), hint="as in metrics.scores=[kid, prdc]")]
        )
    node = parse(RecipeText(origin, value))
    for key in reversed(keys):
        node = Node({key: Node(node.value, node.place, Place(origin))}, Place(origin))
    return node


def _keys(recipe: Node, field: str) -> list[str]:
    """The steps of a dotted field; dots in the name of an arm that the recipe has do not count."""
    arms = recipe.child("arms")
    if field.startswith("arms.") and arms is not None and isinstance(arms.value, dict):
        rest = field.removeprefix("arms.")
        for name in sorted(arms.value, key=len, reverse=True):
            if rest == name or rest.startswith(f"{name}."):
                return ["arms", name, *filter(None, rest.removeprefix(name).split("."))]
    return field.split(".")

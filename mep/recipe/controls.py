"""Controls: arms that have to come out in a known way, before anybody believes the others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from mep.errors import Place
from mep.recipe.node import Node
from mep.sections.slots import slots

Control: TypeAlias = Literal["negative", "shuffled", "positive"]
CONTROLS: tuple[Control, ...] = get_args(Control)
"""What `controls:` may name: in this order they are run and reported."""
NEGATIVE, SHUFFLED, POSITIVE = (f"control-{name}" for name in CONTROLS)
CONTROL_ARMS = (NEGATIVE, SHUFFLED, POSITIVE)
"""What the arms are called. No other arm may have these names."""

ELSEWHERE = "the baseline was made elsewhere and cannot be trained again"
RUN = "run"
"""What is kept of a control that is run, under the field `controls.NAME`; of another one why it is not."""


def is_control(name: str) -> bool:
    """Whether an arm is a control: by its name, that of a repeat (`control-negative#2`) or with its run before it."""
    return name.rpartition("/")[2].partition("#")[0] in CONTROL_ARMS


@dataclass
class ControlLayers:
    """What the controls of a recipe are made of.

    layers      control arm -> the arm that it repeats, and what is merged over that
    skipped     control -> why it is not run, in words that end a sentence
    """

    layers: dict[str, tuple[str, Node]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def control_layers(arms: Mapping[str, Node], requested: Node | None) -> ControlLayers:
    """The controls that a recipe asks for; `arms` are merged already, the first is the baseline.

    What is no control is left to validation, and so is an arm without a template.
    """
    result = ControlLayers()
    asked = {item.value: item.place for item in requested.items} if requested else {}
    for control in CONTROLS:
        if control in asked:
            made = {"negative": _negative, "shuffled": _shuffled, "positive": _positive}[control](arms, asked[control])
            if isinstance(made, str):
                result.skipped[control] = made
            else:
                result.layers[f"control-{control}"] = made
    return result


def _negative(arms: Mapping[str, Node], place: Place) -> tuple[str, Node] | str:
    """The baseline as it is; that it draws from other seeds is in its name (`training_of`)."""
    if _is_elsewhere(next(iter(arms.values()))):
        return ELSEWHERE
    return next(iter(arms)), Node({}, place)


CLUSTERED = {"cluster", "coarse", "fine", "second"}
"""Slots that say something of an image's cluster."""


def _shuffled(arms: Mapping[str, Node], place: Place) -> tuple[str, Node] | str:
    named = [name for name in list(arms)[1:] if _names(arms[name]) & CLUSTERED and not _is_permuted(arms[name])]
    named = [name for name in named if not _is_elsewhere(arms[name])]
    if not named:
        return "no arm after the baseline names {cluster} in its captions"
    named = [name for name in named if not _shows_vectors(arms[name])]
    if not named:
        return "every arm that names {cluster} in its captions is shown the image's vector too"
    method = _at(arms[named[0]], "clustering", "method")
    if method and method.kind == "none":
        return "all images are one cluster"
    return named[0], _section("prompts", {"permute": Node("cluster", place)}, place)


def _positive(arms: Mapping[str, Node], place: Place) -> tuple[str, Node] | str:
    name, baseline = next(iter(arms.items()))
    if _is_elsewhere(baseline):
        return ELSEWHERE
    truth, allocation = _at(baseline, "dataset", "truth"), _at(baseline, "generation", "allocation")
    if truth is None or not isinstance(truth.value, str):
        return "the recipe names no dataset.truth"
    if _is_given(baseline):
        return "the captions of the baseline are given, and name what they name"
    if "truth" in _names(baseline):
        return "the captions of the baseline name the truth already"
    if allocation and allocation.kind == "table":
        return "generation.allocation is a table of the baseline's prompts"
    noun = re.sub(r"[^\w]+|_+", " ", truth.value).strip()
    changed: dict[str, Node] = {}
    template, variants = _at(baseline, "prompts", "template"), _at(baseline, "prompts", "variants")
    if template and isinstance(template.value, str):
        changed["template"] = Node(f"{template.value}, {noun} {{truth:words}}", place)
    if variants and all(isinstance(item.value, str) for item in variants.items):
        changed["variants"] = Node(
            [Node(f"{item.value}, {noun} {{truth:words}}", place) for item in variants.items], place
        )
    return name, _section("prompts", changed, place)


def _section(name: str, changed: dict[str, Node], place: Place) -> Node:
    return Node({name: Node(dict(changed), place)}, place)


def _at(arm: Node, *steps: str) -> Node | None:
    node: Node | None = arm
    for step in steps:
        node = node.child(step) if node else None
    return node


def _is_permuted(arm: Node) -> bool:
    permute = _at(arm, "prompts", "permute")
    return permute is not None and permute.value != "none"


def _is_elsewhere(arm: Node) -> bool:
    """Whether an arm is not trained here."""
    samples = _at(arm, "samples")
    return samples is not None and samples.value is not None


def _shows_vectors(arm: Node) -> bool:
    """Whether an arm's model is told more of an image than its caption, which tells the cluster all the same."""
    conditioning = _at(arm, "training", "conditioning")
    return conditioning is not None and "embedding" in (conditioning.kind, conditioning.value)


def _is_given(arm: Node) -> bool:
    """Whether an arm's captions were written elsewhere."""
    method = _at(arm, "prompts", "method")
    return method is not None and "given" in (method.kind, method.value)


def _names(arm: Node) -> set[str]:
    """The slots of an arm's templates; none where they cannot be read, which validation will tell, or play no part."""
    if _is_given(arm):
        return set()
    template, variants = _at(arm, "prompts", "template"), _at(arm, "prompts", "variants")
    nodes = [*([template] if template else []), *(variants.items if variants else [])]
    try:
        return {name for node in nodes if isinstance(node.value, str) for name, _ in slots(node.value)}
    except ValueError:
        return set()

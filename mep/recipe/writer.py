"""A loaded recipe -> YAML with every default filled in, which loads to the same experiments."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from mep.config import Config, leaves
from mep.recipe.compose import MAIN
from mep.recipe.controls import is_control
from mep.recipe.load import Recipe
from mep.recipe.model import repeat_of
from mep.recipe.node import Plain
from mep.recipe.reader import FORMAT, MAX_DIGITS, scalar

HEADER = "# Written by mep: every default filled in. The recipe as it was given lies beside it.\n"
COLUMN = 72
"""Where the comments begin, if the value leaves room."""


def lock_text(recipe: Recipe, folder: Path, locked: Mapping[str, object] | None = None) -> str:
    """YAML of the recipe for a file in `folder`; with what it is run with, models are named by their commits."""
    pin = locked is not None
    top, arms = _top_and_arms(recipe, folder, pin=pin)
    data: dict[str, object] = dict(top)
    if list(arms) != [MAIN]:
        common = next(iter(arms.values()))
        data["arms"] = {name: changes(common, arm) for name, arm in arms.items()}
    data["machine"] = dump(recipe.machine, folder, pin=pin)
    if locked is not None:
        data["locked"] = locked
    return HEADER + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _top_and_arms(
    recipe: Recipe, folder: Path, *, pin: bool = False
) -> tuple[dict[str, Plain], dict[str, dict[str, Plain]]]:
    """The top of a recipe with the fields of its first arm, and all arms but repeats and controls, as plain values."""
    firsts = {name: one for name, one in recipe.arms.items() if repeat_of(name)[1] == 1 and not is_control(name)}
    arms = {name: dump(experiment, folder, pin=pin) for name, experiment in firsts.items()}
    top = {"mep": FORMAT} | {name: getattr(recipe, name) for name in ("name", "description", "modality", "seeds")}
    top["controls"] = list(recipe.controls)
    return top | next(iter(arms.values())), arms


def dump(config: Config, folder: Path, *, pin: bool = False) -> dict[str, Plain]:
    """JSON-ready values, paths named from a folder; `pin` names models of the hub by their commits."""
    return config.model_dump(mode="json", context={"folder": folder.absolute(), "pin": pin})


def changes(common: dict[str, Plain], arm: dict[str, Plain]) -> dict[str, Plain]:
    """What has to be merged over `common` to get `arm`; a method of another kind is given whole."""
    changed: dict[str, Plain] = {}
    for key, value in arm.items():
        below = common.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and below.get("kind") == value.get("kind"):
            if inner := changes(below, value):
                changed[key] = inner
        elif key not in common or below != value:
            changed[key] = value
    return changed


def fields_of(recipe: Recipe) -> dict[str, dict[str, dict[str, Plain]]]:
    """Arm -> dotted field -> its value and its origin: a place in a file, a modality, --set or default."""
    return {
        arm: {
            field: {"value": value, "origin": recipe.origin_of(arm, field)}
            for field, value in leaves(dump(experiment, recipe.file.parent))
        }
        for arm, experiment in recipe.arms.items()
    }


def resolved_text(recipe: Recipe) -> str:
    """YAML that loads to the same experiments: what the first arm is made of, and what the others change."""
    top, arms = _top_and_arms(recipe, recipe.file.parent)
    first = next(iter(arms))
    lines = [*_lines(top, recipe, first)]
    if list(arms) != [MAIN]:
        lines.append("arms:")
        for arm, values in arms.items():
            changed = changes(arms[first], values)
            lines.append(f"  {inline(arm)}:" if changed else f"  {inline(arm)}: {{}}")
            lines += _lines(changed, recipe, arm, "    ")
    lines += ["machine:", *_lines(dump(recipe.machine, recipe.file.parent), recipe, first, "  ", "machine.")]
    return "\n".join(lines)


def _lines(values: dict[str, Plain], recipe: Recipe, arm: str, indent: str = "", above: str = "") -> Iterator[str]:
    for key, value in sorted(values.items(), key=lambda item: item[0] != "kind"):
        if isinstance(value, dict) and value:
            yield f"{indent}{inline(key)}:"
            yield from _lines(value, recipe, arm, indent + "  ", f"{above}{key}.")
        else:
            yield f"{indent}{inline(key)}: {inline(value)}".ljust(COLUMN) + f"  # {recipe.origin_of(arm, above + key)}"


def inline(value: Plain) -> str:
    """A value as YAML on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**9)
    return str(text).removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """Writes what `reader` reads back: no aliases, and quotes around text that YAML 1.2 takes for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Without double quotes PyYAML folds a line break such as U+0085 to a space.
    may_be_bare = text.isprintable() and text not in ("", "<<") and len(text) <= MAX_DIGITS and scalar(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if may_be_bare else '"')


_Dumper.add_representer(str, _text)

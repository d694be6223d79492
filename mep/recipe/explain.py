"""What pydantic found wrong -> where it was written, what is there, what is wanted, and what comes near."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mep.config import Config, field_descriptions
from mep.errors import Mistake, Place
from mep.recipe.model import RecipeFile
from mep.recipe.reader import Node
from mep.recipe.text import RecipeText
from mep.recipe.wording import (
    a,
    choices,
    dotted,
    find_near,
    inside,
    is_config,
    is_family,
    listed,
    plain_or_section,
    show,
    wanted,
)
from mep.registry import Method, kind_of, kinds, member, members

VALUES = {"literal_error", "finite_number", "too_short", "too_long", "string_too_short", "string_too_long"}
VALUES |= {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_from_float"}
"""Errors of pydantic, beside those that end in `_type` and `_parsing`, that say: found this, wanted that."""

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Spot:
    """What a mistake is about.

    path        keys and indices from the top of the recipe
    node        what is written there; None where nothing is
    above       the nearest value above it that is written: the section that lacks it
    type        what the schema wants there, without `| None`
    owner       the config whose field it is; an item of a list has that of the list
    field       that field; None for an item, and where the config has no such field
    family      the family of methods that is chosen from here, or by the `kind` that stands here
    """

    path: Steps
    node: Node | None
    above: Node
    type: Any
    owner: type[Config] = RecipeFile
    field: FieldInfo | None = None
    family: type[Method] | None = None

    @property
    def written(self) -> Node:
        """What is written there or above."""
        return self.node or self.above

    @property
    def description(self) -> str:
        """What the field is for."""
        return field_descriptions(self.owner).get(str(self.path[-1]), "")

    def step(self, step: str | int) -> "Spot":
        """The spot under a key or an index."""
        owner, field, kind = self.owner, None, None
        if isinstance(step, int):
            kind = inside(self.type)
        elif is_config(self.type):
            owner, field = self.type, self.type.model_fields.get(step)
            kind = inside(field.annotation, items=False) if field else None
        elif get_origin(self.type) is dict:
            kind = inside(get_args(self.type)[1], items=False)
        family = kind if is_family(kind) else self.family if step == "kind" else None
        node = self.node.child(step) if self.node else None
        return Spot((*self.path, step), node, self.written, kind, owner, field, family)


def find(loc: Steps, root: Node, *, has_tags: bool = False) -> Spot:
    """The spot under a path; with tags, as pydantic has them, the path names the type of a union after its field."""
    spot = Spot((), root, root, RecipeFile)
    for step in loc:
        if either := plain_or_section(spot.type):
            chosen = either[isinstance(spot.written.value, dict)]
            spot = replace(spot, type=inside(chosen, items=False), field=FieldInfo.from_annotation(chosen))
            if has_tags:
                continue
        if is_family(spot.type):
            spot = replace(spot, type=member(spot.type, str(spot.written.kind)))
        spot = spot.step(step)
    return spot


def validate(
    root: Node, source: RecipeText, folder: Path, paths_must_exist: bool
) -> tuple[RecipeFile | None, list[Mistake]]:
    """The recipe that the values make, and what is wrong with it.

    folder      of the recipe file: relative paths start there
    """
    explainer = _Explainer(root, source)
    try:
        context = {"folder": folder, "paths_must_exist": paths_must_exist}
        recipe = RecipeFile.model_validate(root.plain(), context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [explainer.explain(detail) for detail in details if not _follows(detail)]
    return recipe, list(explainer.booleans_for_numbers(recipe))


def _follows(detail: ErrorDetails) -> bool:
    """Does it only follow from other mistakes? A list whose items are all wrong counts as too short."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


class _Explainer:
    """Turns what pydantic says of these values into mistakes."""

    def __init__(self, root: Node, source: RecipeText):
        self.root, self.source = root, source

    def explain(self, detail: ErrorDetails) -> Mistake:
        """One mistake as the person who wrote the recipe sees it."""
        error, context, message = detail["type"], detail.get("ctx", {}), detail["msg"].removeprefix("Value error, ")
        spot = find(detail["loc"], self.root, has_tags=True)
        if error == "cross_field":
            for step in context["field"].split("."):
                spot = spot.step(step)
            return self._mistake(spot, message, context["hint"])
        if spot.family and (error.startswith("union_tag_") or spot.path[-1] == "kind"):
            return self._not_a_kind(spot, spot.family)
        if error == "missing":
            return self._mistake(spot, f"missing, wanted {wanted(spot.type, spot.field)}", spot.description)
        if error == "extra_forbidden":
            return self._mistake(spot, "unknown key", _where_known(spot), at_key=True)
        if error in ("template_slot", "template_format"):
            return self._mistake(spot, message, find_near(context["found"], context["wanted"]))
        if error == "path_missing":
            message = f"'{context['path']}' {context['problem']}"
            return self._mistake(spot, message, "a path starts at the recipe's folder")
        if error == "string_pattern_mismatch":
            return self._mistake(spot, f"{show(spot.written.value)} does not fit", spot.description)
        if error in VALUES or error.endswith(("_type", "_parsing")):
            message = f"found {show(spot.written.value)}, wanted {wanted(spot.type, spot.field)}"
            return self._mistake(spot, message, _remedy(spot))
        return self._mistake(spot, message)

    def booleans_for_numbers(self, recipe: RecipeFile) -> Iterator[Mistake]:
        """true and false where a number is wanted: pydantic reads them as 1 and 0."""
        for path, node in self.root.walk():
            if isinstance(node.value, bool):
                value: Any = recipe
                for step in path:
                    value = getattr(value, str(step)) if isinstance(value, Config) else value[step]
                if not isinstance(value, bool):
                    spot = find(path, self.root)
                    yield self._mistake(spot, f"found {show(node.value)}, wanted {wanted(spot.type, spot.field)}")

    def _not_a_kind(self, spot: Spot, family: type[Method]) -> Mistake:
        """A method that is named wrongly, or not at all."""
        kind = spot if spot.path[-1] == "kind" else spot.step("kind")
        if kind.node is None and isinstance(kind.above.value, str):  # the short form: the method is its kind
            kind = replace(kind, path=kind.path[:-1], node=kind.above)
        if kind.node is None:
            return self._mistake(kind, f"missing, wanted {wanted(family)}")
        message = f"{show(kind.node.value)} is not {a(family.noun)}"
        return self._mistake(kind, message, find_near(kind.node.value, list(kinds(family))))

    def _mistake(self, spot: Spot, message: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        """At the value or at its key; where nothing is written, at the key of the section that lacks it."""
        node, field = spot.written, dotted(spot.path)
        place = node.named_at if at_key or spot.node is None else node.place
        is_shipped = not place.line and place.file.startswith("modality ")
        if node is self.root or (spot.node is None and is_shipped):
            return Mistake(field, message, Place(self.source.name, 1, 1), hint=hint)
        if is_shipped:
            message += f" (set by {place.file})"
            chosen = self.root.child("modality")
            place = chosen.place if chosen else Place(self.source.name, 1, 1)
        return self.source.mistake(message, place, field=field, hint=hint)


def _remedy(spot: Spot) -> str:
    """What to do about a value that cannot be read, where that can be told."""
    value = spot.written.value
    if isinstance(value, str) and (near := find_near(value, choices(spot.type))).startswith("did"):
        return near.partition("  ")[0]
    if spot.type is str and isinstance(value, dict | list):
        return "put text that holds braces or brackets in quotes"
    if spot.type is str and isinstance(value, int | float):
        return "put it in quotes to make it text"
    if get_origin(spot.type) is tuple and not isinstance(value, dict | list):
        return "put a single item in brackets, too"
    return ""


def _where_known(spot: Spot) -> str:
    """The nearest key that the section has, or else who has this one: another kind of method, or another section."""
    key, section = str(spot.path[-1]), dotted(spot.path[:-1])
    hint = find_near(key, list(spot.owner.model_fields))
    if hint.startswith("did you mean"):
        return hint
    homes = [(dotted(path), owner) for path, owner in _homes(RecipeFile, key)]
    kinds = [kind_of(owner) for path, owner in homes if path == section and issubclass(owner, Method)]
    if kinds:
        return f"it belongs to {listed(kinds)}  {hint}"
    names = list(dict.fromkeys(path or "the top of the recipe" for path, _ in homes))
    names = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
    near = [name for name in names if name.startswith(f"{section}.")] or names
    return f"it belongs to {listed(near)}" if 1 <= len(near) <= 3 else hint


def _homes(config: type[Config], key: str, path: Steps = ()) -> Iterator[tuple[Steps, type[Config]]]:
    """Sections and methods that have a key, and where they stand."""
    if key in config.model_fields:
        yield path, config
    for name, field in config.model_fields.items():
        either = plain_or_section(field.annotation)
        kind = inside(either[1] if either else field.annotation)
        for part in members(kind).values() if is_family(kind) else [kind] if is_config(kind) else []:
            yield from _homes(part, key, (*path, name))

"""What pydantic found wrong -> where it was written, what is there, what is wanted, and what comes near."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mep.config import Config, by_kind, by_shape, field_descriptions
from mep.errors import Mistake, Place
from mep.recipe.annotations import choices, inside, is_config, is_family, plain_or_section
from mep.recipe.node import Node, Steps
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.text import RecipeText
from mep.recipe.wording import a, dotted, find_near, listed, show, wanted
from mep.registry import Method, kind_of, kinds, member, members

VALUES = {"literal_error", "finite_number", "too_short", "too_long", "string_too_short", "string_too_long"}
VALUES |= {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_from_float"}
"""Errors of pydantic, beside those that end in `_type` and `_parsing`, that say: found this, wanted that."""


@dataclass(frozen=True)
class Spot:
    """What a mistake is about.

    path        keys and indices from the top of the recipe
    node        what is written there; None where nothing is
    above       the nearest value above it that is written: the section that lacks it
    annotation  what the schema wants there, without `| None`
    owner       the config whose field it is; an item of a list has that of the list
    field       that field; None for an item, and where the config has no such field
    family      the family of methods that is chosen from here, or by the `kind` that stands here
    """

    path: Steps
    node: Node | None
    above: Node
    annotation: object
    owner: type[Config] = RecipeFile
    field: FieldInfo | None = None
    family: type[Method] | None = None

    @property
    def written(self) -> Node:
        return self.node or self.above

    @property
    def wanted(self) -> str:
        return wanted(self.annotation, self.field, self.node.value if self.node else None)

    @property
    def description(self) -> str:
        return field_descriptions(self.owner).get(str(self.path[-1]), "")

    def step(self, step: str | int) -> "Spot":
        """The spot under a key or an index."""
        owner, field, annotation = self.owner, None, None
        if isinstance(step, int):
            annotation = inside(self.annotation)
        elif is_config(self.annotation):
            owner, field = self.annotation, self.annotation.model_fields.get(step)
            annotation = inside(field.annotation, items=False) if field else None
        elif get_origin(self.annotation) is dict:
            annotation = inside(get_args(self.annotation)[1], items=False)
        family = self.family if step == "kind" else None
        if is_family(annotation):
            family = annotation
        node = self.node.child(step) if self.node else None
        return Spot((*self.path, step), node, self.written, annotation, owner, field, family)


def find(path: Steps, root: Node, *, has_tags: bool = False) -> Spot:
    """The spot under a path; with tags, as pydantic has them, the path names the type of a union after its field."""
    spot = Spot((), root, root, RecipeFile)
    for step in path:
        if either := plain_or_section(spot.annotation):
            plain, section = either
            tag = by_kind if get_origin(plain) is dict else by_shape
            chosen = cast(type, section if tag(spot.written.plain()) == "section" else plain)
            inner = inside(chosen, items=False)
            family = inner if is_family(inner) else spot.family
            spot = replace(spot, annotation=inner, field=FieldInfo.from_annotation(chosen), family=family)
            if has_tags:
                continue
        if is_family(spot.annotation):
            spot = replace(spot, annotation=member(spot.annotation, str(spot.written.kind)))
        spot = spot.step(step)
    return spot


class Explainer:
    """Turns what pydantic says of the values of a recipe into mistakes."""

    def __init__(self, root: Node, source: RecipeText):
        self.root = root
        self.source = source

    def explain(self, error: ValidationError) -> list[Mistake]:
        details = error.errors(include_url=False)
        # A list whose items are all wrong counts as too short, too: that only follows from its items.
        is_full = [d["type"] == "too_short" and len(d["input"]) >= d["ctx"]["min_length"] for d in details]
        return [self._explained(detail) for detail, follows in zip(details, is_full, strict=True) if not follows]

    def booleans_for_numbers(self, recipe: RecipeFile) -> Iterator[Mistake]:
        """true and false where a number is wanted: pydantic reads them as 1 and 0."""
        for path, node in self.root.walk():
            if isinstance(node.value, bool) and not isinstance(_value_at(path, recipe), bool):
                yield self._unfit_value(find(path, self.root))

    def _explained(self, detail: ErrorDetails) -> Mistake:
        error, context, spot = detail["type"], detail.get("ctx", {}), find(detail["loc"], self.root, has_tags=True)
        if spot.family and (error.startswith("union_tag_") or spot.path[-1] == "kind"):
            return self._not_a_kind(spot, spot.family)
        if error in VALUES or error.endswith(("_type", "_parsing")):
            return self._unfit_value(spot)
        message, hint = detail["msg"].removeprefix("Value error, "), ""
        match error:
            case "cross_field":
                for step in context["field"].split("."):
                    spot = spot.step(step)
                hint = context["hint"]
            case "missing":
                message, hint = f"missing, wanted {spot.wanted}", spot.description
            case "extra_forbidden":
                return self._mistake(spot, "unknown key", _where_known(spot), at_key=True)
            case "template_slot" | "template_format":
                hint = find_near(context["found"], context["wanted"])
            case "path_missing":
                message, hint = f"'{context['path']}' {context['problem']}", "a path starts at the recipe's folder"
            case "string_pattern_mismatch":
                message, hint = f"{show(spot.written.value)} does not fit", spot.description
        return self._mistake(spot, message, hint)

    def _unfit_value(self, spot: Spot) -> Mistake:
        return self._mistake(spot, f"found {show(spot.written.value)}, wanted {spot.wanted}", _remedy(spot))

    def _not_a_kind(self, spot: Spot, family: type[Method]) -> Mistake:
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


def _value_at(path: Steps, recipe: RecipeFile) -> object:
    value: object = recipe
    for step in path:
        if isinstance(value, Config):
            value = getattr(value, str(step))
        else:
            value = cast("Mapping[str | int, object]", value)[step]
    return value


def _remedy(spot: Spot) -> str:
    value = spot.written.value
    if isinstance(value, str) and (near := find_near(value, choices(spot.annotation))).startswith("did"):
        return near.partition("  ")[0]
    if spot.annotation is str and isinstance(value, dict | list):
        return "put text that holds braces or brackets in quotes"
    if spot.annotation is str and isinstance(value, int | float):
        return "put it in quotes to make it text"
    if get_origin(spot.annotation) is tuple and not isinstance(value, dict | list):
        return "put a single item in brackets, too"
    return ""


def _where_known(spot: Spot) -> str:
    """The nearest key that the section has, or else who has this one: another kind of method, or another section."""
    key, section = str(spot.path[-1]), dotted(spot.path[:-1])
    hint = find_near(key, list(spot.owner.model_fields))
    if hint.startswith("did you mean"):
        return hint
    homes = [(dotted(path), owner) for path, owner in _homes(RecipeFile, key)]
    methods = [kind_of(owner) for path, owner in homes if path == section and issubclass(owner, Method)]
    if methods:
        return f"it belongs to {listed(methods)}  {hint}"
    sections = list(dict.fromkeys(path or "the top of the recipe" for path, _ in homes))
    outer = [name for name in sections if not any(name.startswith(f"{other}.") for other in sections)]
    near = [name for name in outer if name.startswith(f"{section}.")] or outer
    return f"it belongs to {listed(near)}" if 1 <= len(near) <= 3 else hint


def _homes(config: type[Config], key: str, path: Steps = ()) -> Iterator[tuple[Steps, type[Config]]]:
    """Sections and methods that have a key, and where they stand."""
    if key in config.model_fields:
        yield path, config
    for name, field in config.model_fields.items():
        either = plain_or_section(field.annotation)
        part = inside(either[1] if either else field.annotation)
        for inner in members(part).values() if is_family(part) else [part]:
            if is_config(inner):
                yield from _homes(inner, key, (*path, name))

"""Folders as registries: a file in a method folder is a value of `kind:` in the recipe.

A family is a subclass of `Method` in the `__init__.py` of its folder; the members are the subclasses that the
folder's other files define. `OneOf[Clusterer]` in a config is the union of them, told apart by `kind`.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, Union, cast, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mep.config import Config


class Method(Config):
    """One algorithm: a few fields and one verb."""

    noun: ClassVar[str] = "method"
    """What error messages call a member: "'hdbscna' is not a clusterer"."""

    usual: ClassVar[str] = ""
    """The kind of a family that is meant where none is given."""

    file_names: ClassVar[dict[str, str]] = {}
    """Kinds of a family that cannot be the name of a module, and the file that each has instead."""

    if TYPE_CHECKING:
        kind: str  # every member narrows it to a literal; a family has none


def kind_of(member: type[Method]) -> str:
    """The value of `kind:` that selects a member."""
    return str(get_args(member.model_fields["kind"].annotation)[0])


@cache
def kinds(family: type[Method]) -> tuple[str, ...]:
    """Every kind of a family, sorted. They are told by the names of its files, so that nothing is imported for it."""
    known = tuple(sorted(_modules(family)))
    # A family within a family, such as the clusterers that take k, shares the folder and has only some of its members.
    return known if Method in family.__bases__ else tuple(kind for kind in known if member(family, kind))


@cache
def member(family: type[Method], kind: str) -> type[Method] | None:
    """The member that a kind selects; only its own file is imported. None where there is none."""
    if kind not in _modules(family):
        return None
    defined = vars(importlib.import_module(_modules(family)[kind])).values()
    found = [one for one in defined if isinstance(one, type) and issubclass(one, family)]
    return next((one for one in found if "kind" in one.model_fields and kind_of(one) == kind), None)


@cache
def _modules(family: type[Method]) -> dict[str, str]:
    """Kind -> module. A file is called like its kind, unless the family says otherwise in `file_names`."""
    package = importlib.import_module(family.__module__)
    files = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    kind_of_file = {file: kind for kind, file in family.file_names.items()}
    return {kind_of_file.get(file, file): f"{package.__name__}.{file}" for file in files}


@cache
def members(family: type[Method]) -> dict[str, type[Method]]:
    """Every member of a family by its kind, sorted."""
    found = {kind: member(family, kind) for kind in kinds(family)}
    return {kind: one for kind, one in found.items() if one is not None}


@dataclass(frozen=True)
class _OneOf:
    """Picks the member by `kind`. A union of pydantic would do the same, but import and build every member first."""

    def __get_pydantic_core_schema__(self, family: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def choose(value: Any, info: ValidationInfo) -> Method:
            return _choose(family, value, info)

        return core_schema.with_info_plain_validator_function(choose, metadata={"family": family})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        known = tuple(members(cast(Any, schema)["metadata"]["family"]).values())
        if len(known) > 1:
            union: Any = Annotated[Union[known], Field(discriminator="kind")]  # noqa: UP007
            return handler(TypeAdapter(union).core_schema)
        described: JsonSchemaValue = handler(core_schema.nullable_schema(TypeAdapter(known[0]).core_schema))["anyOf"][0]
        return described


def _choose(family: type[Method], value: Any, info: ValidationInfo) -> Method:
    if isinstance(value, family):
        return value
    if isinstance(value, str):  # a bare word is short for a method that needs no other field: `kid` for `{kind: kid}`
        value = {"kind": value}
    elif family.usual and isinstance(value, dict):
        value = {"kind": family.usual, **value}
    if not isinstance(value, dict):
        raise PydanticCustomError("method_type", "a method is wanted")
    if "kind" not in value:
        raise PydanticCustomError("union_tag_not_found", "kind is missing")
    chosen = member(family, value["kind"]) if isinstance(value["kind"], str) else None
    if chosen is None:
        raise PydanticCustomError("union_tag_invalid", "no such kind")
    return chosen.model_validate(value, context=info.context)


MethodT = TypeVar("MethodT", bound=Method)
OneOf = Annotated[MethodT, _OneOf()]

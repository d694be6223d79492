"""Folders as registries: a file in a method folder is a value of `kind:` in the recipe.

A family is a subclass of `Method` in the `__init__.py` of its folder; the members are the subclasses that the
folder's other files define. `OneOf[Clusterer]` in a config is the union of them, told apart by `kind`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
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
    """Every kind of a family, sorted. The names of its files tell them, so that nothing is imported for it."""
    names = tuple(sorted(_modules(family)))
    # A family within a family, such as the clusterers that take k, shares the folder and has only some of its members.
    return names if Method in family.__bases__ else tuple(kind for kind in names if member(family, kind))


@cache
def member(family: type[Method], kind: str) -> type[Method] | None:
    """The member that a kind selects; only its own file is imported. None where there is none."""
    if kind not in _modules(family):
        return None
    for defined in vars(importlib.import_module(_modules(family)[kind])).values():
        is_method = isinstance(defined, type) and issubclass(defined, family) and "kind" in defined.model_fields
        if is_method and kind_of(defined) == kind:
            return cast(type[Method], defined)
    return None


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
    return {kind: method for kind in kinds(family) if (method := member(family, kind))}


@dataclass(frozen=True)
class _OneOf:
    """Picks the member by `kind`. A union of pydantic would do the same, but import and build every member first."""

    def __get_pydantic_core_schema__(self, family: type[Method], handler: GetCoreSchemaHandler) -> CoreSchema:
        function = partial(_method_of, family)
        return core_schema.with_info_plain_validator_function(function, metadata={"family": family})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        family = cast("Mapping[str, dict[str, type[Method]]]", schema)["metadata"]["family"]
        methods = tuple(members(family).values())
        if len(methods) > 1:
            union: Any = Annotated[Union[methods], Field(discriminator="kind")]  # noqa: UP007
            return handler(TypeAdapter(union).core_schema)
        alternatives = handler(core_schema.nullable_schema(TypeAdapter(methods[0]).core_schema))["anyOf"]
        return cast(JsonSchemaValue, alternatives[0])


def _method_of(family: type[Method], value: object, info: ValidationInfo) -> Method:
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


def choose(family: type[MethodT], value: object, context: dict[str, object]) -> MethodT:
    """The method that a value stands for outside of a recipe; ValidationError where it is none of the family."""
    annotation = cast(type[MethodT], Annotated[family, _OneOf()])
    return TypeAdapter(annotation).validate_python(value, context=context)

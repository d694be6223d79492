"""Folders as registries: a file in a method folder is a value of `kind:` in the recipe.

A family is a subclass of `Method` in the `__init__.py` of its folder; the members are the subclasses that the
folder's other files define. `OneOf[Clusterer]` in a config is the union of them, told apart by `kind`.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, Union, get_args

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from mep.config import Config


class Method(Config):
    """One algorithm: a few fields and one verb."""

    noun: ClassVar[str] = "method"
    """What error messages call a member: "'hdbscna' is not a clusterer"."""

    if TYPE_CHECKING:
        kind: str  # every member narrows it to a literal; a family has none


def kind_of(member: type[Method]) -> str:
    """The value of `kind:` that selects a member."""
    return str(get_args(member.model_fields["kind"].annotation)[0])


@cache
def members(family: type[Method]) -> dict[str, type[Method]]:
    """Every member of a family by its kind, sorted."""
    package = importlib.import_module(family.__module__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):  # what several members share
            importlib.import_module(f"{package.__name__}.{module.name}")
    found = [member for member in _descendants(family) if "kind" in member.model_fields]
    return {kind_of(member): member for member in sorted(found, key=kind_of)}


@cache
def families() -> dict[str, type[Method]]:
    """Every family by the name of its folder."""
    import mep

    for module in pkgutil.iter_modules(mep.__path__):
        if module.ispkg:
            importlib.import_module(f"mep.{module.name}")
    found = [family for family in Method.__subclasses__() if family.__module__.startswith("mep.")]
    return {family.__module__.removeprefix("mep."): family for family in sorted(found, key=lambda f: f.__module__)}


def _descendants(family: type[Method]) -> list[type[Method]]:
    return [one for child in family.__subclasses__() for one in (child, *_descendants(child))]


@dataclass(frozen=True)
class _OneOf:
    def __get_pydantic_core_schema__(self, family: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        known = tuple(members(family).values())
        annotation: Any = known[0]
        if len(known) > 1:
            annotation = Annotated[Union[known], Field(discriminator="kind")]  # noqa: UP007
        usual = next((kind_of(member) for member in known if not member.model_fields["kind"].is_required()), None)
        return handler.generate_schema(Annotated[annotation, BeforeValidator(partial(_spell_out, usual=usual))])


def _spell_out(value: Any, usual: str | None) -> Any:
    """A bare word is short for a method that needs no other field: `kid` for `{kind: kid}`; and where one member of a
    family is the usual one, its kind may be left out."""
    if usual and isinstance(value, dict) and "kind" not in value:
        return {"kind": usual, **value}
    return {"kind": value} if isinstance(value, str) else value


MethodT = TypeVar("MethodT", bound=Method)
OneOf = Annotated[MethodT, _OneOf()]

"""Namers: what each cluster is called, found from its images. One file, one namer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from mep.config import by_kind
from mep.registry import Method, OneOf

if TYPE_CHECKING:
    from mep.artifacts import Images
    from mep.artifacts.captions import FoundName
    from mep.machine.work import Work


class Namer(Method):
    """Finds a name for every cluster that nobody has named by hand."""

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^[0-9]+$": {"type": "string"}}})
    noun: ClassVar[str] = "namer"

    names: dict[int, str] = Field(default_factory=dict)
    """Names that were given by hand, by the number of the cluster. They win. A number beside `kind` says the same, as
    in {kind: ..., 3: dense lymphocytes}, so that a names.yaml fits below."""

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        by_hand = {key: name for key, name in given.items() if str(key).isdecimal()}
        rest = {key: value for key, value in given.items() if key not in by_hand}
        names = rest.get("names", {})
        return rest | {"names": names | by_hand} if by_hand and isinstance(names, dict) else given

    def find(self, images: Images, members: Mapping[int, Sequence[str]], work: Work) -> list[FoundName]:
        """A name for each cluster that has none by hand, no two the same.

        members     number of a cluster -> ids of its images
        """
        raise NotImplementedError


ClusterNames = Annotated[
    Annotated[dict[int, str], Tag("plain")] | Annotated[OneOf[Namer], Tag("section")], Discriminator(by_kind)
]
"""Names by hand, or a method that finds them."""

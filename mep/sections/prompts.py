"""The section `prompts`: how captions are built."""

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config
from mep.methods.captioners import Captioner
from mep.methods.captioners.template import Template
from mep.methods.namers import ClusterNames, Namer
from mep.registry import OneOf
from mep.sections.slots import COLUMN_FORMATS, FORMATS, slots


class PromptsConfig(Config):
    """How a caption is built."""

    later: ClassVar[tuple[str, ...]] = ("method", "apart_by")
    method: OneOf[Captioner] = Template(kind="template")
    """Where captions come from: the template, or a column or a table that has one for every image."""
    template: str = Field(min_length=1, max_length=1000)
    """Text with the slots {label}, {cluster} and those columns that dataset.columns names. {labels} is {label}: of an
    image with several findings, `effusion and mass`. Formats: {label:lower}, {label:title}, {label:name}; {cluster}
    (0, 1, ...), {cluster:words} (zero, one, ...), {cluster:letter} (a, b, ...), {cluster:name}; {age:lower},
    {age:title}. {truth} (1 to 10, or a value) and {truth:words} name dataset.truth. {coarse} and {fine} name the parts
    of a hierarchical cluster, {second} in brackets the next probable one."""
    variants: tuple[str, ...] = ()
    """Further templates with the same slots; training draws one of all for every image it shows, generation uses
    `template`."""
    label_names: dict[str, str] = Field(default_factory=dict)
    """What {label:name} says for a label; where images have several findings, for each of these and for none."""
    cluster_names: ClusterNames = Field(default_factory=dict)
    """What {cluster:name} says for a cluster; for a given one, the name that it was given, unless there is one here.
    The numbers hold for one clustering; clustering.ids_from keeps them. Or a method that finds names."""
    apart_by: tuple[Literal["label", "cluster"], ...] = ()
    """What sets prompts apart besides the slots of the template: with [cluster] each cluster has a prompt of its own,
    though captions do not name it. Then something else has to tell it: training.conditioning."""
    permute: Literal["none", "cluster"] = "none"
    """`cluster` deals the clusters of a label out again among its images, by lot: captions of the same form, each as
    often as before, that say nothing of morphology. Training images stay the same."""

    @field_validator("template", "variants")
    @classmethod
    def _fillable(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for template in (value,) if isinstance(value, str) else value:
            _check(template)
        return value

    @model_validator(mode="after")
    def _has_clusters_to_permute(self) -> Self:
        if self.permute != "none" and self.method.kind != "template":
            raise ValueError("permute deals out the clusters that a template names, and these captions are given")
        if self.apart_by and self.method.kind != "template":
            raise ValueError("apart_by sets prompts of a template apart, and these captions are given")
        return self

    def in_use(self) -> Self:
        """Without names of clusters where no template asks for one: naming them leaves other arms as they are."""
        asked = self.method.kind == "template" and any(
            pair in (("cluster", "name"), ("second", "name")) for template in self.templates for pair in slots(template)
        )
        return self if asked or not self.cluster_names else self.model_copy(update={"cluster_names": {}})

    @property
    def names_by_hand(self) -> dict[int, str]:
        """Number -> name, of the clusters that the recipe names."""
        return self.cluster_names.names if isinstance(self.cluster_names, Namer) else self.cluster_names

    @property
    def templates(self) -> tuple[str, ...]:
        return self.template, *self.variants

    @property
    def recorded(self) -> set[str]:
        """What sets prompts apart: slots, and what the recipe says."""
        return self.names | set(self.apart_by)

    @property
    def names(self) -> set[str]:
        """The slots of all templates; none where captions are given."""
        if self.method.kind != "template":
            return set()
        return {name for template in self.templates for name, _ in slots(template)}


def _check(template: str) -> None:
    """Refuse a template that cannot be filled; whether its columns exist is known once the dataset is read."""
    try:
        pairs = slots(template)
    except ValueError as error:
        raise PydanticCustomError("template", "braces do not match: {why}", {"why": str(error)}) from error
    for slot, form in pairs:
        if not slot.isidentifier():
            raise PydanticCustomError(
                "template_slot", "no slot '{slot}'", {"slot": slot, "wanted": [*FORMATS], "found": slot}
            )
        formats = FORMATS.get(slot, COLUMN_FORMATS)
        if form not in formats:
            raise PydanticCustomError(
                "template_format",
                "slot '{slot}' has no format '{form}'",
                {"slot": slot, "form": form, "wanted": [*filter(None, formats)], "found": form},
            )

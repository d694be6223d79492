"""Prompts: a caption for every image of the training set, built from its record."""

import itertools
import re
import string
from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from mep.artifacts import Images, Prompt, Prompts, TrainingSet
from mep.config import Config
from mep.errors import DataError
from mep.stage import Work, stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = {
    "label": {"": "as it is in the dataset", "lower": "in lower case", "title": "capitalised"},
    "cluster": {"": "number from 0", "words": "number in words from zero", "letter": "a, b, ... z, aa"},
}
"""Slots of a template, and the formats of each."""


def slots(template: str) -> list[tuple[str, str]]:
    """(slot, format) pairs of a template, in order; ValueError where the braces do not match."""
    return [(name, form or "") for _, name, form, _ in string.Formatter().parse(template) if name is not None]


class PromptsConfig(Config):
    """How a caption is built."""

    template: str = Field(min_length=1, max_length=1000)
    """Text with the slots {label} and {cluster}; formats as in {cluster:words} (zero, one, ...) or {label:lower}."""

    @field_validator("template")
    @classmethod
    def _known_slots(cls, template: str) -> str:
        try:
            found = slots(template)
        except ValueError as error:
            raise PydanticCustomError("template", "braces do not match: {why}", {"why": str(error)}) from error
        for name, form in found:
            if name not in FORMATS:
                raise PydanticCustomError(
                    "template_slot", "no slot '{slot}'", {"slot": name, "wanted": [*FORMATS], "found": name}
                )
            if form not in FORMATS[name]:
                raise PydanticCustomError(
                    "template_format",
                    "slot '{slot}' has no format '{form}'",
                    {"slot": name, "form": form, "wanted": [known for known in FORMATS[name] if known], "found": form},
                )
        return template


@stage(version=3)
def prompts(config: PromptsConfig, images: Images, training_set: TrainingSet, *, work: Work) -> Prompts:
    """Caption every training and validation image from its record of label and cluster."""
    named = {name for name, _ in slots(config.template)}
    if "label" in named and not images.label_names:
        raise DataError(
            "the template names {label}, but the dataset has no labels",
            hint="name the label column in dataset.label, or take {label} out",
            field="prompts.template",
        )

    def records(labels: list[str | None], clusters: "NDArray[np.int64]") -> list[tuple[str | None, int | None]]:
        return [
            (label if "label" in named else None, cluster if "cluster" in named else None)
            for label, cluster in zip(labels, clusters.tolist(), strict=True)
        ]

    keys = records(training_set.labels, training_set.clusters)
    counts = Counter(keys)
    ordered = sorted(counts, key=lambda key: (key[0] or "", -1 if key[1] is None else key[1]))

    def prompt(label: str | None, cluster: int | None) -> Prompt:
        text = fill(config.template, label, cluster)
        return Prompt(_identity(label, cluster, images.label_names), text, label, cluster, counts[label, cluster])

    pairs = sorted(itertools.product({label for label, _ in keys if label}, {c for _, c in keys if c is not None}))
    position = {key: row for row, key in enumerate(ordered)}
    watched = training_set.validation
    ids = [*training_set.ids, *watched.ids]
    keys += records(watched.labels, watched.clusters)
    return Prompts(
        prompts=[prompt(*key) for key in ordered],
        of_image={name: position[key] for name, key in zip(ids, keys, strict=True)},
        unseen=[prompt(*pair) for pair in pairs if pair not in counts],
    )


def fill(template: str, label: str | None, cluster: int | None) -> str:
    """The caption of a record."""
    text = []
    for literal, name, form, _ in string.Formatter().parse(template):
        text.append(literal)
        if name is not None:
            text.append(_format(name, form or "", label if name == "label" else cluster))
    return "".join(text)


def _format(name: str, form: str, value: Any) -> str:
    if name == "label":
        return {"": str(value), "lower": str(value).lower(), "title": str(value).capitalize()}[form]
    if form == "words":
        from num2words import num2words

        return str(num2words(value))
    return _letters(value) if form == "letter" else str(value)


def _letters(number: int) -> str:
    """a, b, ... z, aa, ab, ... for 0, 1, ..."""
    text = ""
    while number >= 0:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
    return text


def _identity(label: str | None, cluster: int | None, label_names: list[str]) -> str:
    """A prompt's name in files and tables: the same for the same record, whatever the template says."""
    parts = []
    if label is not None:
        slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
        same = [name for name in label_names if re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] == slug]
        parts.append(slug if len(same) == 1 and slug else f"{slug}-{label_names.index(label)}".strip("-"))
    if cluster is not None:
        parts.append(f"c{cluster:02d}")
    return "_".join(parts) or "all"

"""Prompts: a caption for every image of the training set, built from its record."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from mep.artifacts import BaseModel, Images, Prompt, Prompts, TrainingSet
from mep.config import Config
from mep.errors import DataError
from mep.machine.work import Work
from mep.stage import stage
from mep.stages.prompts.template import COLUMN_FORMATS, FORMATS, Writer, identity, slots


class PromptsConfig(Config):
    """How a caption is built."""

    template: str = Field(min_length=1, max_length=1000)
    """Text with the slots {label}, {cluster} and those columns that dataset.columns names. Formats: {label:lower},
    {label:title}, {label:name}; {cluster} (0, 1, ...), {cluster:words} (zero, one, ...), {cluster:letter} (a, b, ...),
    {cluster:name}; {age:lower}, {age:title}."""
    variants: tuple[str, ...] = ()
    """Further templates with the same slots; training draws one of all for every image it shows, generation uses
    `template`."""
    label_names: dict[str, str] = Field(default_factory=dict)
    """What {label:name} says for a label."""
    cluster_names: dict[int, str] = Field(default_factory=dict)
    """What {cluster:name} says for a cluster. The numbers hold for one clustering; clustering.ids_from keeps them."""

    @field_validator("template")
    @classmethod
    def _fillable(cls, template: str) -> str:
        _check(template)
        return template

    @field_validator("variants")
    @classmethod
    def _all_fillable(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        for template in variants:
            _check(template)
        return variants

    @property
    def templates(self) -> tuple[str, ...]:
        return self.template, *self.variants

    @property
    def names(self) -> set[str]:
        """The slots of all templates."""
        return {name for template in self.templates for name, _ in slots(template)}


def _check(template: str) -> None:
    """A template that can be filled, columns aside: which there are is for `dataset.columns` to say."""
    try:
        found = slots(template)
    except ValueError as error:
        raise PydanticCustomError("template", "braces do not match: {why}", {"why": str(error)}) from error
    for name, form in found:
        if not name.isidentifier():
            raise PydanticCustomError(
                "template_slot", "no slot '{slot}'", {"slot": name, "wanted": [*FORMATS], "found": name}
            )
        known = FORMATS.get(name, COLUMN_FORMATS)
        if form not in known:
            raise PydanticCustomError(
                "template_format",
                "slot '{slot}' has no format '{form}'",
                {"slot": name, "form": form, "wanted": [one for one in known if one], "found": form},
            )


@stage(version=4)
def prompts(
    config: PromptsConfig, images: Images, training_set: TrainingSet, base: BaseModel, *, work: Work
) -> Prompts:
    """Caption every training and validation image from its record of label, cluster and columns."""
    named = config.names
    if "label" in named and not images.label_names:
        raise DataError(
            "the template names {label}, but the dataset has no labels",
            hint="name the label column in dataset.label, or take {label} out",
            field="prompts.template",
        )
    watched = training_set.validation
    rows = np.concatenate([images.rows(training_set.ids), images.rows(watched.ids)])
    clusters = np.concatenate([training_set.clusters, watched.clusters])
    columns = {name: _column(images, name, rows) for name in sorted(named - FORMATS.keys())}
    codes = [
        images.labels[rows] if "label" in named else None,
        clusters if "cluster" in named else None,
        *(numbers for numbers, _ in columns.values()),
    ]
    keys = _combined([code for code in codes if code is not None], len(rows))
    n = len(training_set.ids)
    first, prompt_of = _distinct(keys[:n])
    writer = Writer(config.templates, config.label_names, config.cluster_names)
    counts = np.bincount(prompt_of)
    known = []
    for place, row in enumerate(first.tolist()):
        label = images.label_of(int(rows[row])) if "label" in named else None
        cluster = int(clusters[row]) if "cluster" in named else None
        values = {name: texts[numbers[row]] for name, (numbers, texts) in columns.items()}
        text, *variants = writer.write(label, cluster, values)
        prompt_id = identity(label, cluster, values)
        known.append(Prompt(prompt_id, text, label, cluster, int(counts[place]), values, tuple(variants)))
    unseen = [] if columns else _unseen(known, writer)
    check([*known, *unseen], base)
    order = sorted(range(len(known)), key=lambda place: _order(known[place]))
    rank = np.empty(len(known), dtype=np.int64)
    rank[order] = np.arange(len(known))
    of_image = dict(zip(training_set.ids, rank[prompt_of].tolist(), strict=True))
    by_key = dict(zip(keys[first].tolist(), rank.tolist(), strict=True))
    of_image |= {
        image_id: by_key[key] for image_id, key in zip(watched.ids, keys[n:].tolist(), strict=True) if key in by_key
    }
    return Prompts([known[place] for place in order], of_image, unseen)


def _unseen(known: list[Prompt], writer: Writer) -> list[Prompt]:
    """Prompts of the pairs of a label and a cluster that no training image shows."""
    seen = {(prompt.label, prompt.cluster) for prompt in known}
    labels = sorted({label for label, _ in seen if label is not None})
    clusters = sorted({cluster for _, cluster in seen if cluster is not None})
    found = []
    for label, cluster in itertools.product(labels, clusters):
        if (label, cluster) not in seen:
            text, *variants = writer.write(label, cluster, {})
            prompt_id = identity(label, cluster, {})
            found.append(Prompt(prompt_id, text, label, cluster, 0, variants=tuple(variants)))
    return found


def _order(prompt: Prompt) -> tuple[Any, ...]:
    return prompt.label or "", -1 if prompt.cluster is None else prompt.cluster, sorted(prompt.columns.items())


def _column(images: Images, name: str, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Number of the value that each image has in a column, and the values as text.

    DataError   there is no such column, or an image has nothing in it
    """
    if name not in images.metadata:
        raise DataError(
            f"the template names {{{name}}}, but the dataset has no such column",
            hint=f"columns: {', '.join(sorted(images.metadata)) or 'none'}",
            field="prompts.template",
        )
    values = images.metadata[name]
    texts = ["" if values[row] is None or values[row] != values[row] else str(values[row]) for row in rows.tolist()]
    if "" in texts:
        raise DataError(
            f"the template names {{{name}}}, but {images.ids[rows[texts.index('')]]} has nothing in that column",
            hint="fill the column in, leave the image out with dataset.exclude, or take the slot out",
            field="prompts.template",
        )
    known, codes = np.unique(texts, return_inverse=True)
    return codes.astype(np.int64), known.tolist()


def _distinct(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row of every distinct key, and the place of each row's key among them; keys from 0 and not many."""
    first = np.full(int(keys.max(initial=0)) + 1, -1, dtype=np.int64)
    first[keys[::-1]] = np.arange(len(keys))[::-1]
    places = np.cumsum(first >= 0) - 1
    return first[first >= 0], places[keys]


def _combined(codes: list[NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    """int64 (n,), equal for images that are equal in all codes."""
    keys = np.zeros(n, dtype=np.int64)
    for code in codes:
        shifted = code + 1
        keys = keys * (int(shifted.max(initial=0)) + 1) + shifted
        if keys.max(initial=0) > 2**22:
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return keys


def check(prompts: list[Prompt], base: BaseModel) -> None:
    """What the text encoder can tell apart, and holds.

    DataError   an empty caption, one that is too long for the tokenizer, or two that are the same to it
    """
    from mep.diffusion.pipelines import load_part

    tokenizer = load_part(base.pipeline, "tokenizer", "cpu")
    seen: dict[tuple[int, ...], Prompt] = {}
    for prompt in prompts:
        for text in (prompt.text, *prompt.variants):
            if not text.strip():
                raise DataError(f"the caption of prompt {prompt.id} is empty", field="prompts.template")
            tokens = tuple(tokenizer(text).input_ids)
            if len(tokens) > tokenizer.model_max_length:
                raise DataError(
                    f"'{text}' has {len(tokens)} tokens, the text encoder takes {tokenizer.model_max_length}",
                    hint="shorten the template or the names: the end would be cut off",
                    field="prompts.template",
                )
            other = seen.setdefault(tokens, prompt)
            if other is not prompt:
                raise DataError(
                    f"prompts {other.id} and {prompt.id} are the same to the text encoder: '{other.text}' and '{text}'",
                    hint="give them different names, or merge what they stand for in the dataset",
                    field="prompts.template",
                )

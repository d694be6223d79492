"""Prompts: a caption for every image of the training set, built from its record."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Images, Model, Prompt, Prompts, TrainingSet
from mep.artifacts.captions import FoundName
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.captioners.given import Given
from mep.methods.namers import Namer
from mep.sections.prompts import PromptsConfig
from mep.sections.slots import CODES, FORMATS
from mep.stage import stage
from mep.stages.prompts.codes import Column, code_columns, told_by
from mep.stages.prompts.given import given_prompts
from mep.stages.prompts.template import Record, Writer
from mep.stages.prompts.tokens import Tokens, length_of, reading_of
from mep.stages.prompts.truth import truths


@stage(version=5, draws=True)
def prompts(
    config: PromptsConfig, images: Images, training_set: TrainingSet, base: BaseModel, *, work: Work
) -> Prompts:
    """Caption every training and validation image from its record of label, cluster and columns."""
    validation = training_set.validation
    ids = [*training_set.ids, *validation.ids]
    if isinstance(config.method, Given):
        captioned = images.select(ids)
        texts, n_train = config.method.texts(captioned), len(training_set.ids)
        return given_prompts(texts, captioned, n_train, base, config.method.too_long)
    own = np.concatenate([training_set.clusters, validation.clusters])
    source = np.arange(len(own))
    if config.permute == "cluster":
        n = len(training_set.ids)
        parts = [(training_set.labels, source[:n]), (validation.labels, source[n:])]
        source = np.concatenate([permuted(*part, work.rng("permute", place)) for place, part in enumerate(parts)])
    clusters, told = own[source], told_by(training_set)
    names = config.recorded | ({"cluster"} if config.names & told & {"fine", "second"} else set())
    records, record_of = _records(
        names - told, images, ids, clusters, code_columns(names, training_set, source), len(training_set.ids)
    )
    counts = np.bincount(record_of[: len(training_set.ids)], minlength=len(records))
    found = _found_names(config, images, training_set, work)
    called = training_set.cluster_names | {one["cluster"]: one["name"] for one in found} | config.names_by_hand
    writer = Writer(config.templates, config.label_names, called, images.findings, training_set.codes, "second" in told)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda place: records[place].sort_key)
    shown = [_prompt(writer, records[place], int(counts[place])) for place in order]
    unseen = [] if names - {"label", "cluster", *(told - {"second"})} else _unseen(shown, writer)
    check([*shown, *unseen], base, may_be_alike=bool(config.apart_by))
    number_of = np.full(len(records), -1)  # a record of validation images alone has no prompt
    number_of[order] = np.arange(len(order))
    numbers = zip(ids, number_of[record_of].tolist(), strict=True)
    n_renamed = int((clusters != own)[: len(training_set.ids)].sum()) if config.permute == "cluster" else None
    return Prompts(shown, {image_id: number for image_id, number in numbers if number >= 0}, unseen, n_renamed, found)


def _found_names(config: PromptsConfig, images: Images, training_set: TrainingSet, work: Work) -> list[FoundName]:
    """What a namer calls the clusters of the training images, by the images that they have, whatever captions say."""
    namer = config.in_use().cluster_names
    if not isinstance(namer, Namer):
        return []
    members: dict[int, list[str]] = {}
    for image_id, cluster in zip(training_set.ids, training_set.clusters.tolist(), strict=True):
        members.setdefault(cluster, []).append(image_id)
    return namer.find(images, members, work)


def permuted(labels: Sequence[str | None], clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 (n,), the clusters of every label dealt out again among its images."""
    dealt, names = clusters.copy(), np.array([label or "" for label in labels])
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        dealt[rows] = rng.permutation(clusters[rows])
    return dealt


def _records(
    names: set[str],
    images: Images,
    ids: list[str],
    clusters: NDArray[np.int64],
    more: dict[str, Column],
    n_train: int,
) -> tuple[list[Record], NDArray[np.int64]]:
    """The distinct records of some images, by what templates name, and the place of each image among them.

    ids     those of the n_train training images first
    more    columns that are recorded beside those of the metadata
    """
    rows = images.rows(ids)
    if "label" in names and not images.label_names:
        raise DataError(
            "the template names {label}, but the dataset has no labels",
            hint="name the label column in dataset.label (several: dataset.labels), or take {label} out",
            field="prompts.template",
        )
    metadata = names - (FORMATS.keys() - set(CODES))
    columns = {name: _column(images, name, rows) for name in sorted(metadata)} | more
    if "truth" in names and images.truth is not None:
        values = images.metadata[images.truth]
        distinct, places = np.unique(truths([values[row] for row in rows.tolist()], n_train), return_inverse=True)
        columns["truth"] = places.astype(np.int64), distinct.tolist()
    parts = {"label": images.labels[rows], "cluster": clusters}
    parts |= {name: numbers for name, (numbers, _) in columns.items()}
    keys = _combined([numbers for name, numbers in parts.items() if name in {*names, *more}], len(rows))
    image_of = np.full(int(keys.max(initial=-1)) + 1, -1)  # np.unique sorts, and takes three times as long
    image_of[keys] = np.arange(len(keys))
    record_of = (np.cumsum(image_of >= 0) - 1)[keys]
    records = [
        Record(
            images.label_of(int(rows[image])) if "label" in names else None,
            int(clusters[image]) if "cluster" in names else None,
            {name: texts[numbers[image]] for name, (numbers, texts) in columns.items() if numbers[image] >= 0},
        )
        for image in image_of[image_of >= 0].tolist()
    ]
    return records, record_of


def _combined(parts: list[NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    """int64 (n,), equal for images that are equal in all parts; small numbers from 0."""
    keys = np.zeros(n, dtype=np.int64)
    for numbers in parts:
        keys = keys * (int(numbers.max(initial=-1)) + 2) + numbers + 1
        if keys.max(initial=0) > 2**22:  # so that the next product does not overflow
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return keys


def _column(images: Images, name: str, rows: NDArray[np.int64]) -> Column:
    """For each image the number of its value in a metadata column, and the text of each number."""
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
    distinct, numbers = np.unique(texts, return_inverse=True)
    return numbers.astype(np.int64), distinct.tolist()


def _prompt(writer: Writer, record: Record, n_images: int) -> Prompt:
    text, *variants = writer.write(record)
    return Prompt(record.prompt_id, text, record.label, record.cluster, n_images, record.columns, tuple(variants))


def _unseen(shown: list[Prompt], writer: Writer) -> list[Prompt]:
    """Prompts for the pairs of a label and a cluster that no training image shows."""
    pairs = {(prompt.label, prompt.cluster) for prompt in shown}
    labels = sorted({label for label, _ in pairs if label is not None})
    clusters = sorted({cluster for _, cluster in pairs if cluster is not None})
    missing = [pair for pair in itertools.product(labels, clusters) if pair not in pairs]
    return [_prompt(writer, Record(label, cluster), 0) for label, cluster in missing]


def check(prompts: list[Prompt], base: BaseModel | Model, *, may_be_alike: bool = False) -> None:
    """DataError: an empty caption, one that is too long for the tokenizer, or two that are the same to it.

    may_be_alike    whether prompts may share their caption to the letter
    """
    tokenize, most = reading_of(base)
    seen: dict[Tokens, Prompt] = {}
    captions = [(prompt, text) for prompt in prompts for text in (prompt.text, *prompt.variants)]
    for prompt, text in captions:
        if not text.strip():
            raise DataError(f"the caption of prompt {prompt.id} is empty", field="prompts.template")
        tokens = tokenize(text)
        if (n := length_of(text, tokenize)) > most:
            raise DataError(
                f"'{text}' has {n} tokens, the text encoder takes {most}",
                hint="shorten the template or the names: the end would be cut off",
                field="prompts.template",
            )
        other = seen.setdefault(tokens, prompt)
        if other is not prompt and not (may_be_alike and other.text == prompt.text):
            raise DataError(
                f"prompts {other.id} and {prompt.id} are the same to the text encoder: '{other.text}' and '{text}'",
                hint="give them different names, or merge what they stand for in the dataset",
                field="prompts.template",
            )

"""Metrics: generated against held-out images, with uncertainty and protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from mep.artifacts import Assignment, References, Samples, Scores
from mep.evaluation.evaluate import N_HALVES, Scored, Space, complete, drawn, evaluate, measured_rows
from mep.evaluation.features import features_of, file_formats
from mep.evaluation.groups import Keys, evaluate_groups
from mep.imaging.pixels import square
from mep.machine.files import read_json
from mep.machine.work import Work
from mep.methods.scores import Score
from mep.methods.scores.adherence import Adherence
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid
from mep.methods.scores.memorisation import Memorisation, closest, neighbourhood
from mep.methods.scores.prdc import Prdc
from mep.registry import OneOf
from mep.stage import stage
from mep.stages.references import ReferencesConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

GroupKind = Literal["label", "cluster", "prompt"]


class MetricsConfig(ReferencesConfig):
    """What is measured, and in which feature spaces."""

    scores: tuple[OneOf[Score], ...] = Field(
        (
            Frechet(kind="frechet"),
            Kid(kind="kid"),
            Prdc(kind="prdc"),
            Memorisation(kind="memorisation"),
            Adherence(kind="adherence"),
        ),
        min_length=1,
    )
    """Comparisons of generated with held-out, and with training images."""
    groups: tuple[GroupKind, ...] = ("label", "cluster", "prompt")
    """Parts that are scored one by one as well; too small ones say so."""
    halves: int = Field(N_HALVES, ge=0, le=1000)
    """Random halves of the delete-half jackknife; 0 leaves the uncertainty out."""

    @model_validator(mode="after")
    def _metrics_are_distinct(self) -> MetricsConfig:
        names = [metric for score in self.scores for metric in score.better]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two scores give the metric {', '.join(twice)}")
        return self


@stage(version=4)
def metrics(
    config: MetricsConfig, references: References, assignment: Assignment, samples: Samples, *, work: Work
) -> Scores:
    """Score generated against held-out images, beside what real images and reconstructions reach.

    Subjects: samples; train: real training images in their place;
    floor: reconstructions of the held-out images; of adherence also heldout: real images at the model's resolution.
    """
    listed = samples.rows
    keys = group_keys(references, assignment, listed)
    features: dict[str, NDArray[np.float32]] = {}
    nearest: dict[str, list[dict[str, Any]]] = {}
    rows: list[Scored] = []
    for extractor in config.extractors:
        own = references.protocol[extractor.name]
        name = f"{extractor.name}-samples"
        read = SampleSquares(samples, [row["file_name"] for row in listed], own["eval_resolution"])
        made = features_of(name, read, len(listed), extractor, work)
        space = _space(references, extractor.name, made, own | _of_samples(samples, listed, references))
        space = Space(**(vars(space) | {"metric_name": extractor.metric_name}))
        options: dict[str, Any] = {"seed": config.seed, "n_halves": config.halves, "device": work.device}
        rows += evaluate(space, config.scores, **options)
        work.stop_if_asked()
        for kind in config.groups:
            rows += evaluate_groups(space, config.scores, kind, *keys[kind], **options)
        features[extractor.name] = made[drawn(len(made), min(len(space.real), len(made)), config.seed, 1)]
        nearest[extractor.name] = _closest(config, space, references.tables["train"]["id"], listed)
    rows += _adherence(config, assignment, _of_samples(samples, listed, references))
    scores = [row.row for row in rows]
    return Scores(scores, np.stack([row.halves for row in rows]), features, nearest)


def _space(references: References, name: str, made: NDArray[np.float32], protocol: dict[str, Any]) -> Space:
    sets, groups = references.features[name], references.tables["heldout"]["group"]
    return Space(
        protocol=protocol,
        real=sets["heldout"],
        fakes={"samples": made, "floor": sets["floor"]},
        train=sets["train"],
        groups=None if None in groups else np.array(groups),
        paired=frozenset({"floor"}),
    )


@dataclass(frozen=True)
class SampleSquares:
    """Reads samples by their rows as squares, wherever a worker runs."""

    samples: Samples
    names: list[str]
    size_px: int

    def __call__(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([square(self.samples.read({"file_name": self.names[row]}), self.size_px) for row in rows])


def _of_samples(samples: Samples, listed: list[dict[str, Any]], references: References) -> dict[str, Any]:
    """What the protocol says of image files and of how the samples were drawn."""
    path = samples.folder / "generation.json"
    known = read_json(path) if path.exists() else {}
    formats = {
        "real": file_formats(references.tables["heldout"]["id"]),
        "fake": file_formats(row["file_name"] for row in listed),
    }
    refused = sum(known.get("refused", {}).values())
    return {
        "image_format": formats,
        "sampler": known.get("sampler"),
        "guidance": known.get("guidance"),
        "steps": known.get("steps"),
        "flags": ["some_refused"] if refused else [],
    }


def group_keys(
    references: References, assignment: Assignment, listed: Sequence[dict[str, Any]]
) -> dict[str, tuple[Keys, Keys]]:
    """Kind of group -> that of every held-out image and of every sample.

    A sample belongs to what its caption asked for, a held-out image to its label and to the cluster it is assigned to.
    """
    labels: list[str | None] = references.tables["heldout"]["label"]
    clusters = [None if c < 0 else int(c) for c in assignment.parts["heldout"][:, 0]]
    prompts = {row["prompt_id"]: (row["label"], row["cluster"]) for row in listed}
    of_record = {record: name for name, record in prompts.items()}
    both = list(zip(labels, clusters, strict=True))
    # a caption without a cluster, or without a label, is a group of the other two kinds already
    whole = all(None not in record for record in prompts.values())
    return {
        "label": (labels, [row["label"] for row in listed]),
        "cluster": ([_text(c) for c in clusters], [_text(row["cluster"]) for row in listed]),
        "prompt": ([of_record.get(one) for one in both], [row["prompt_id"] if whole else None for row in listed]),
    }


def _text(cluster: int | None) -> str | None:
    return None if cluster is None else f"{cluster:02d}"


def _closest(
    config: MetricsConfig, space: Space, train_ids: list[str], listed: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if space.train is None or len(space.train) < 3 or not any(score.needs_train for score in config.scores):
        return []  # the rows of such a score say why
    return [
        {"file_name": listed[pair.pop("image")]["file_name"], "train": train_ids[pair.pop("train")]} | pair
        for pair in closest(neighbourhood(space.fakes["samples"], space.train))
    ]


def _adherence(config: MetricsConfig, assignment: Assignment, protocol: dict[str, Any]) -> Iterator[Scored]:
    """Rows of the samples, of real images at the model's resolution, and of the autoencoder floor."""
    score = next((score for score in config.scores if isinstance(score, Adherence)), None)
    if score is None:
        return
    parts = {subject: assignment.parts[subject].astype(np.float64) for subject in ("samples", "heldout", "floor")}
    about = protocol | assignment.protocol
    for subject, part in parts.items():
        null = score.null(parts["heldout"], part, None, seed=config.seed)
        found = measured_rows([score], parts["heldout"], part, None, n_halves=config.halves, seed=config.seed)[0]
        for metric, (numbers, halves) in found.items():
            known: dict[str, Any] = {"metric": metric, "subject": subject, "reference": "heldout", "group": "all"}
            known |= {"n_real": len(parts["heldout"]), "n_fake": len(part), "seed": config.seed}
            known |= {"n_real_of": known["n_real"], "n_fake_of": known["n_fake"]}
            known |= {"better": score.better[metric], "null": null.get(metric)} | numbers
            if numbers["value"] is None:
                asked = "cluster" if metric.startswith("cluster") else "label"
                whose = "captions of these samples name" if subject == "samples" else "real images have"
                known["reason"] = known["null_reason"] = f"the {whose} no {asked}"
            yield Scored(complete(about, score, metric, known), halves)

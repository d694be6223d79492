"""Metrics: generated against held-out images, with uncertainty and protocol."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment, References, Samples, Scores, TrainingSet
from mep.artifacts.score_row import JsonObject, ScoreProtocol
from mep.evaluation.adherence import AdherenceRows
from mep.evaluation.evaluate import evaluate
from mep.evaluation.features import features_of, file_formats
from mep.evaluation.finding_adherence import FindingRows
from mep.evaluation.groups import GroupKeys, evaluate_groups
from mep.evaluation.matching import Match, match_of
from mep.evaluation.measurement import Scored
from mep.evaluation.space import Space, drawn
from mep.evaluation.uncertainty import EvaluationSettings
from mep.imaging.pixels import square
from mep.machine.files import read_json
from mep.machine.work import Work
from mep.methods.extractors import Extractor
from mep.methods.scores.adherence import Adherence
from mep.methods.scores.memorisation import closest_pairs, neighbourhood
from mep.sections.metrics import MetricsConfig
from mep.stage import stage

Flags: TypeAlias = tuple[str, ...]


@stage(version=8)
def metrics(
    config: MetricsConfig,
    references: References,
    training_set: TrainingSet,
    assignment: Assignment,
    samples: Samples,
    *,
    work: Work,
) -> Scores:
    """Score generated against held-out images, beside what real images and reconstructions reach.

    References: matched: held-out images in the mix of the generated ones (are the images right?); heldout: as they are
    (is the dataset right?); train: training images.

    Subjects: samples; train: real training images in their place;
    floor: reconstructions of the held-out images; of adherence also heldout: real images at the model's resolution.
    Adherence of the samples is told for every label, cluster, prompt and finding, too, that of real images for every
    slide.
    """
    settings = EvaluationSettings(config.seed, config.halves, work.device)
    samples_protocol, flags = protocol_of_samples(samples, references.tables["heldout"]["id"])
    keys = group_keys(references, assignment, samples.rows)
    match = match_of(references, training_set, assignment, [row["label"] for row in samples.rows], config.seed)
    features: dict[str, NDArray[np.float32]] = {}
    closest: dict[str, list[JsonObject]] = {}
    order, matched = _kept(match, len(references.tables["heldout"]["id"]), len(samples.rows), config.seed)
    rows: list[Scored] = []
    for extractor in config.extractors:
        protocol = references.protocol[extractor.name]
        read = SampleSquares.of(samples, protocol["eval_resolution"])
        fake = features_of(f"{extractor.name}-samples", read, len(samples.rows), extractor, work)
        space = _space(references, extractor, fake, {"dtype": "float32"} | protocol | samples_protocol, flags)
        rows += evaluate(space, config.scores, settings, match=match)
        work.stop_if_asked()
        for kind in config.groups:
            rows += evaluate_groups(space, config.scores, kind, keys[kind], settings)
        features[extractor.name] = fake[order]
        closest[extractor.name] = _closest(config, space, references.tables["train"]["id"], samples.rows)
    protocol = {"dtype": "float32"} | samples_protocol | assignment.protocol
    for adherence in (score for score in config.scores if isinstance(score, Adherence)):
        common = replace(settings, device="cpu")
        made_by = ScoreProtocol.from_json(protocol)
        told = AdherenceRows(adherence, assignment, common, made_by, flags)
        rows += told.rows({kind: keys[kind] for kind in config.groups})
        of_findings = FindingRows(assignment, references.findings, common, made_by, flags)
        rows += of_findings.rows(each="label" in config.groups)
    influences = {
        number: scored.influence
        for number, scored in enumerate(rows)
        if scored.influence and (scored.row.subject, scored.row.group) == ("samples", "all")
    }
    halves = np.stack([scored.halves for scored in rows])
    return Scores([scored.row for scored in rows], halves, features, closest, matched, influences)


def _kept(match: Match, n_real: int, n_fake: int, seed: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Samples whose features are kept, those of the natural draw first, and where the matched ones are among them."""
    order = drawn(n_fake, n_fake, seed, 1)
    places = np.argsort(order)[match.samples].astype(np.int64)
    return order[: max(min(n_real, n_fake), int(places.max()) + 1)], {"heldout": match.heldout, "samples": places}


def _space(
    references: References, extractor: Extractor, fake: NDArray[np.float32], protocol: JsonObject, flags: Flags
) -> Space:
    sets, groups = references.features[extractor.name], references.tables["heldout"]["group"]
    return Space(
        protocol=ScoreProtocol.from_json(protocol),
        real=sets["heldout"],
        fakes={"samples": fake} | {part: sets[part] for part in ("floor",) if part in sets},
        train=sets["train"],
        groups=None if None in groups else np.array(groups),
        paired=frozenset({"floor"}),
        flags=flags,
        metric_name=extractor.metric_name,
    )


@dataclass(frozen=True)
class SampleSquares:
    """Reads samples by their rows as squares, wherever a worker runs."""

    samples: Samples
    names: list[str]
    size_px: int

    @classmethod
    def of(cls, samples: Samples, size_px: int) -> Self:
        return cls(samples, [row["file_name"] for row in samples.rows], size_px)

    def __call__(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([square(self.samples.read({"file_name": self.names[row]}), self.size_px) for row in rows])


def protocol_of_samples(samples: Samples, real_names: Iterable[str]) -> tuple[JsonObject, Flags]:
    """The part of a protocol that says how the samples were drawn and what files they are, and flags of every row."""
    path = samples.folder / "generation.json"
    generation = read_json(path) if path.exists() else {}
    image_format = {"real": file_formats(real_names), "fake": file_formats(row["file_name"] for row in samples.rows)}
    drawing = {name: generation.get(name) for name in ("sampler", "guidance", "steps")}
    refused = sum(generation.get("refused", {}).values())
    return {"image_format": image_format} | drawing, ("some_refused",) if refused else ()


def group_keys(references: References, assignment: Assignment, listed: Sequence[JsonObject]) -> dict[str, GroupKeys]:
    """Kind of group -> the group of every held-out image and of every sample.

    A sample belongs to what its caption asked for, a held-out image to its label and to the cluster it is assigned to;
    where images show several findings, to each of these.
    """
    labels: list[str | None] = references.tables["heldout"]["label"]
    clusters = _cluster_names(c if c >= 0 else None for c in assignment.parts["heldout"][:, 0].tolist())
    labels_asked = [row["label"] for row in listed]
    clusters_asked = _cluster_names(row["cluster"] for row in listed)
    # a caption without a cluster, or without a label, is a group of the other two kinds already
    complete = None not in labels_asked and None not in clusters_asked
    prompts = [row["prompt_id"] if complete else None for row in listed]
    records = dict(zip(prompts, zip(labels_asked, clusters_asked, strict=True), strict=True))
    prompt_of = {record: prompt for prompt, record in records.items()}
    parts = references.findings.of
    return {
        "label": GroupKeys([parts(label) for label in labels], [parts(label) for label in labels_asked]),
        "cluster": GroupKeys.of_one(clusters, clusters_asked),
        "prompt": GroupKeys.of_one([prompt_of.get(record) for record in zip(labels, clusters, strict=True)], prompts),
    }


def _cluster_names(clusters: Iterable[int | None]) -> list[str | None]:
    return [None if cluster is None else f"{cluster:02d}" for cluster in clusters]


def _closest(config: MetricsConfig, space: Space, train_ids: list[str], listed: list[JsonObject]) -> list[JsonObject]:
    if space.train is None or len(space.train) < 3 or not any(score.needs_train for score in config.scores):
        return []  # the rows of such a score say why
    return [
        {"file_name": listed[row]["file_name"], "train": train_ids[nearest], "distance": distance, "ratio": ratio}
        for row, nearest, distance, ratio in closest_pairs(neighbourhood(space.fakes["samples"], space.train))
    ]

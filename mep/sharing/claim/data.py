"""What a study says of its images, its labels and its partitions."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mep.artifacts import Images, Inliers, TrainingSet
from mep.artifacts.images import SPLITS
from mep.report.text import listed, plain
from mep.sharing.claim import Item
from mep.sharing.finished import Finished

MOST_LABELS = 12


def sources(shared: Finished) -> Iterator[str]:
    source, inputs = shared.arm.experiment.dataset.source, shared.locked.get("inputs", {})
    place = getattr(source, "id", None)
    revision = f" at {getattr(source, 'revision', '')}" if place else ""
    yield f"Source of kind {source.kind}{f': {place}{revision}' if place else ''}."
    for field, content in inputs.items():
        if field.startswith("dataset."):
            yield f"Content of {field}: {', '.join(f'{name} {digest}' for name, digest in content.items())}."


def criteria(shared: Finished) -> Iterator[str]:
    images, inliers = shared.arm.get(Images), shared.arm.get(Inliers)
    if images is not None:
        yield f"{images.pixels.get('excluded', 0)} images were left out by a list of ids."
    method = shared.arm.experiment.outliers.method.kind
    if inliers is not None:
        n_out = int((~inliers.mask).sum())
        yield f"Outliers: {method}; {n_out} of {len(inliers.mask)} images were left out of clusters and captions."


def preprocessing(shared: Finished) -> Iterator[str]:
    images, training = shared.arm.get(Images), shared.arm.experiment.training
    if images is not None:
        modes = images.pixels.get("modes", {})
        yield f"Read as 8-bit RGB from {listed([f'{n} {mode}' for mode, n in modes.items()]) or 'files'}."
        window = images.window
        if window:
            yield f"Deep grey was scaled from {window[0]:g} to {window[1]:g}."
    side = getattr(training.base, "resolution", None)
    if side:
        yield f"Shorter side resized to {side} px, centre cropped. Symmetries in training: {training.symmetries}."


def subsets(shared: Finished) -> Iterator[str]:
    chosen, balancing = shared.arm.get(TrainingSet), shared.arm.experiment.balancing
    if chosen is not None:
        by = listed(list(balancing.keys))
        yield f"Trained on {len(chosen.ids)} images, balanced by {by} ({balancing.method.kind})."
        if chosen.shortage:
            yield f"{len(chosen.shortage)} groups were short of images."


def identities(shared: Finished) -> Iterator[str]:
    if shared.arm.experiment.dataset.source.kind == "dicom":
        yield "From DICOM headers only named tags were read, and IDs became numbers."


def missing(shared: Finished) -> Iterator[str]:
    images = shared.arm.get(Images)
    if images is None:
        return
    if images.label_names:
        yield f"{int((images.labels < 0).sum())} of {len(images)} images have no label."
    holes = {name: sum(value is None for value in values) for name, values in images.metadata.items()}
    if named := [f"{plain(name)} {n}" for name, n in holes.items() if n]:
        yield f"Columns with missing values: {listed(named)}."


def acquisition(shared: Finished) -> Iterator[str]:
    if images := shared.arm.get(Images):
        low, high = images.sizes.min(axis=0).tolist(), images.sizes.max(axis=0).tolist()
        yield f"Images of {low[0]} × {low[1]} to {high[0]} × {high[1]} pixels."


def reference(shared: Finished) -> Iterator[str]:
    images, dataset = shared.arm.get(Images), shared.arm.experiment.dataset
    if not dataset.is_labelled:
        yield "No labels were used."
    elif images is not None:
        names = listed(list(map(plain, (images.findings.names or images.label_names)[:MOST_LABELS])))
        what = f"Column '{plain(dataset.label)}' with the values" if dataset.label else "Any of the findings"
        yield f"{what} {names}."
        yield "The label of a synthetic image is the one that its caption asked for."


def partitions(shared: Finished) -> Iterator[str]:
    dataset, images = shared.arm.experiment.dataset, shared.arm.get(Images)
    usual = 0.2  # of dataset.holdout.fraction
    for what, side, fraction in (
        ("Held out", dataset.holdout, dataset.holdout.fraction or usual),
        ("Validation", dataset.validation, dataset.validation.fraction),
    ):
        if side.splits:
            yield f"{what}: the splits {listed(list(side.splits))} of the source."
        elif fraction:
            part = "finding" if dataset.labels else "label"
            yield f"{what}: {fraction:.0%} of every {part}, drawn with seed {shared.arm.experiment.seed}."
    if images is not None:
        yield "; ".join(_of_splits(images)) + "."
    if dataset.near_duplicate_bits is not None:
        yield "Near duplicates (perceptual hash) were kept on one side of a drawn split."


def level(shared: Finished) -> Iterator[str]:
    images, group = shared.arm.get(Images), shared.arm.experiment.dataset.group
    if group is None:
        yield "Partitions are disjoint by image only: no column with patients or slides was named."
        return
    yield f"By '{plain(group)}': the images of one stay in one partition."
    if images is not None:
        shared_by = [set(images.groups[images.splits == split].tolist()) for split in range(len(SPLITS))]
        torn = len((shared_by[0] & shared_by[1]) | (shared_by[0] & shared_by[2]) | (shared_by[1] & shared_by[2]))
        yield f"Groups that are in more than one: {torn}."


def flow(shared: Finished) -> Iterator[str]:
    if images := shared.arm.get(Images):
        excluded = images.pixels.get("excluded", 0)
        yield f"{len(images)} images used, {excluded} excluded; {'; '.join(_of_splits(images))}."


def characteristics(shared: Finished) -> Iterator[str]:
    images = shared.arm.get(Images)
    if images is None or not images.label_names:
        return
    for split, name in enumerate(SPLITS):
        rows = np.flatnonzero(images.splits == split)
        counts = Counter(images.label_of(int(row)) or "no label" for row in rows)
        if counts:
            told = listed([f"{plain(label)} {n}" for label, n in sorted(counts.items())[:MOST_LABELS]])
            yield f"{name.capitalize()}: {told}."


def _of_splits(images: Images) -> Iterator[str]:
    for split, name in enumerate(SPLITS):
        inside = images.splits == split
        if inside.any():
            groups = f" of {len(np.unique(images.groups[inside]))} groups" if images.group else ""
            yield f"{name} {int(inside.sum())} images{groups}"


DATA, STANDARD, SPLIT, RESULTS = "Data", "Reference standard", "Partitions", "Results: data"
ITEMS = [
    Item(7, DATA, "Where the data come from", sources, "Institutions, dates, consent or waiver, ethics approval."),
    Item(8, DATA, "Who and what was included and excluded", criteria, "Clinical criteria, before mep saw the images."),
    Item(9, DATA, "Preprocessing", preprocessing, "What was done to the images before mep read them."),
    Item(10, DATA, "How subsets were chosen", subsets),
    Item(11, DATA, "De-identification", identities, "How headers and burnt-in text were cleaned, and who checked."),
    Item(12, DATA, "Missing data", missing, "Why they are missing, and what that may bias."),
    Item(13, DATA, "How images were acquired", acquisition, "Scanners, stains, protocols."),
    Item(14, STANDARD, "What the reference standard is", reference, "How a label is defined."),
    Item(15, STANDARD, "Why this standard", gap="Reasons, and other standards that there are."),
    Item(16, STANDARD, "Who annotated", gap="How many, with which training; the tools."),
    Item(17, STANDARD, "How the test set was annotated", gap="As the rest or in another way; with which software."),
    Item(18, STANDARD, "How far annotators agree", gap="Between and within readers, and how they came to one label."),
    Item(19, SPLIT, "How data were assigned to partitions", partitions),
    Item(20, SPLIT, "At which level partitions are disjoint", level, "That the column names patients, not studies."),
    Item(35, RESULTS, "How many were included and excluded", flow, "The steps before mep, as a flow diagram."),
    Item(36, RESULTS, "Characteristics in each partition", characteristics, "Age, sex, severity, device."),
]

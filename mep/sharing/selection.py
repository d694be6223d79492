"""Which synthetic images may leave the house, and which of their captions."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Images, Prompt, Prompts, References, Samples, Scores
from mep.errors import UsageError
from mep.evaluation.features import features_of
from mep.evaluation.space import drawn
from mep.machine.work import Work
from mep.methods.scores.memorisation import COPY_QUANTILE, FIRST, neighbourhood
from mep.sharing.finished import Finished
from mep.stages.metrics import SampleSquares

FEWEST = 5
"""Patients that have to share a caption with words from the dataset before it leaves."""
FEWEST_HELD_OUT = 20
"""Held-out images below which the nearest hundredth is nobody."""

LEFT_IN = "Images near to a training image were left in, as was asked for."

CaptionRule: TypeAlias = Literal["common", "all", "none"]
Row: TypeAlias = dict[str, Any]
"""A sample as `metadata.jsonl` has it."""


@dataclass(frozen=True)
class Selection:
    """The samples that leave.

    rows        those that leave, prompts mixed
    captions    prompt id -> caption; None where it stays behind
    n_all       samples that the arm has
    near        how many were left out as too near to a training image; None where nobody looked
    told        how near copies were looked for, or why not, in a sentence
    """

    folder: Path
    rows: list[Row]
    captions: dict[str, str | None]
    n_all: int
    near: int | None
    told: str

    @property
    def n_silent(self) -> int:
        """Captions that stay behind."""
        return sum(text is None for text in self.captions.values())

    def path_of(self, row: Row) -> Path:
        return self.folder / str(row["file_name"])


def select(shared: Finished, rule: CaptionRule, *, with_near: bool) -> Selection:
    """The samples of an arm that may leave.

    UsageError      the arm has no samples any more, they were made elsewhere, or all are too near
    """
    arm = shared.arm
    samples, prompts = arm.get(Samples), arm.get(Prompts)
    if arm.elsewhere == "images":
        raise UsageError(
            f"the images of arm {arm.name} were made elsewhere: nobody here knows that they show no patient",
            hint="publish them from where they were made, or name another arm: --arm",
        )
    if samples is None or prompts is None or not samples.rows:
        hint = f"make them again: mep resume {shared.run.run_id}"
        raise UsageError(f"arm {arm.name} has no synthetic images: they are damaged or were collected", hint=hint)
    rows = samples.rows
    kept, told = (None, LEFT_IN) if with_near else _far_enough(shared, samples, rows)
    near = None if kept is None else int((~kept).sum())
    if near == len(rows):
        raise UsageError(
            f"all {len(rows)} images of arm {arm.name} lie nearer to a training image than held-out ones do",
            hint="the model copies: train it more gently; --with-near-copies publishes them all the same",
        )
    leaving = rows if kept is None else [row for row, keep in zip(rows, kept.tolist(), strict=True) if keep]
    leaving.sort(key=lambda row: row["ordinal"])  # stable: a shard holds all prompts
    every = [*prompts.prompts, *prompts.unseen]
    patients = _patients(arm.get(Images), prompts.of_image, len(every))
    given = arm.experiment.prompts.method.kind != "template"
    captions = leaving_captions(every, patients, rule, given=given)
    return Selection(samples.folder, leaving, captions, len(rows), near, told)


def _far_enough(shared: Finished, samples: Samples, rows: list[Row]) -> tuple[NDArray[np.bool_] | None, str]:
    """bool (n,), whether a sample keeps the distance from training images that held-out ones keep, and how that was
    seen; None where it cannot be."""
    references = shared.arm.load(References)
    extractor = shared.arm.experiment.metrics.extractors[0]
    sets = references.features.get(extractor.name, {}) if references else {}
    if "heldout" not in sets or "train" not in sets:
        return None, "Nobody looked for copies: the features of the real images are gone."
    train, heldout = sets["train"], sets["heldout"]
    if len(heldout) < FEWEST_HELD_OUT or len(train) < 3:
        few = f"{len(heldout)} held-out images are too few to say what is near"
        return None, f"Nobody looked for copies: {few}."
    fake = _features(shared, samples, rows)
    if fake is None:
        with tempfile.TemporaryDirectory() as folder:
            work = Work(Path(folder), machine=shared.run.recipe.machine)
            side = references.protocol[extractor.name]["eval_resolution"] if references else 0
            fake = features_of("samples", SampleSquares.of(samples, side), len(rows), extractor, work)
    kept = keeps_distance(fake, heldout, train)
    n_near = int((~kept).sum())
    rule = f"nearer to a training image than 99 of 100 held-out images are, in the features of {extractor.name}"
    if not n_near:
        return kept, f"None of {len(rows)} images is {rule}, so none was left out."
    are = "images were left out: they are" if n_near > 1 else "images was left out: it is"
    return kept, f"{n_near} of {len(rows)} {are} {rule}. By chance it would be 1 in 100."


def keeps_distance(
    fake: NDArray[np.float32], heldout: NDArray[np.float32], train: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """bool (m,), whether a sample is as far from every training image as 99 of 100 held-out images are.

    fake, heldout, train    float32 (m, d), (n, d), (t, d)
    """
    threshold = np.quantile(neighbourhood(heldout, train)[:, FIRST], COPY_QUANTILE)
    return np.asarray(neighbourhood(fake, train)[:, FIRST] >= threshold)


def _features(shared: Finished, samples: Samples, rows: list[Row]) -> NDArray[np.float32] | None:
    """float32 (n, d) of all samples in their order, as the metrics kept them; None where they kept those of some."""
    scores, config = shared.arm.get(Scores), shared.arm.experiment.metrics
    stored = scores.features.get(config.extractors[0].name) if scores else None
    if stored is None or len(stored) != len(rows):
        return None
    in_order = np.empty(stored.shape, dtype=np.float32)
    in_order[drawn(len(rows), len(rows), config.seed, 1)] = stored
    return in_order


def leaving_captions(
    prompts: Sequence[Prompt], patients: Sequence[int], rule: CaptionRule, *, given: bool
) -> dict[str, str | None]:
    """Prompt id -> caption, None where it stays behind.

    A caption of words of the recipe, of label and cluster says nothing of one patient. One that was given, or that
    names a column of the dataset, may: of these, `common` lets those leave that enough patients share.

    patients    how many show each prompt
    given       whether captions were written elsewhere
    """

    def leaves(prompt: Prompt, n_patients: int) -> bool:
        speaks_of_patients = given or bool(prompt.columns)
        return rule == "all" or (rule == "common" and (not speaks_of_patients or n_patients >= FEWEST))

    pairs = zip(prompts, patients, strict=True)
    return {prompt.id: prompt.text if leaves(prompt, n) else None for prompt, n in pairs}


def _patients(images: Images | None, of_image: Mapping[str, int], n: int) -> list[int]:
    """How many patients, or slides, show each prompt: images where no column names them, 0 where it is not known."""
    if images is None:
        return [0] * n
    groups = dict(zip(images.ids, images.groups.tolist(), strict=True))
    found: list[set[int]] = [set() for _ in range(n)]
    for image_id, prompt in of_image.items():
        found[prompt].add(groups[image_id])
    return [len(one) for one in found]

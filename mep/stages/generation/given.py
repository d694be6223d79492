"""Generation, where the synthetic images were made elsewhere: they are taken as if this arm's model had drawn them."""

import hashlib
import io
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np

from mep.artifacts import Clusters, Images, Prompt, Prompts, Samples
from mep.artifacts.imagefolder import is_plain
from mep.errors import DataError
from mep.imaging.pixels import to_rgb
from mep.machine.tables import named, text_of
from mep.machine.work import Work
from mep.methods.allocations import Allocation
from mep.methods.sources import Record, Source
from mep.registry import OneOf
from mep.sections.samples import SamplesConfig
from mep.stage import stage
from mep.stages.dataset.columns import require_column
from mep.stages.dataset.scan import scan
from mep.stages.generation.contact_sheets import Sheets
from mep.stages.generation.progress import GenerationProgress
from mep.stages.generation.progress import Record as Metadata
from mep.stages.generation.schedule import SamplePlan
from mep.stages.generation.shares import counts_of
from mep.stages.generation.stage import real_counts
from mep.stages.generation.worker_job import DrawnSample
from mep.stages.prompts.template import Record as Caption

FORMS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""Files that are taken as they are; others are written anew as PNG."""
AT_ONCE = 64  # samples between two looks at whether to stop


class GivenSamplesConfig(SamplesConfig):
    """The section `samples`, and how many images are asked for."""

    elsewhere: ClassVar[dict[str, str]] = {"allocation": "generation.allocation", "label_column": "dataset.label"}

    allocation: OneOf[Allocation]
    label_column: str | None


@stage(version=1, section="samples", draws=True)
def given_samples(
    config: GivenSamplesConfig, images: Images, clusters: Clusters, prompts: Prompts, *, work: Work
) -> Samples:
    """Take synthetic images that were made elsewhere, as many of each prompt as the allocation says."""
    assert config.source is not None
    records = config.source.records()
    if not records:
        raise DataError("the source holds no image", hint="name the folder that holds them", field="samples.source")
    form = _form(records)
    _refuse_unreadable(config.source, records, work)
    captions, rows_of = _captioned(config, records, images, prompts)
    counts = counts_of(config.allocation, captions, real_counts(captions, images.train, clusters))
    chosen = [
        _chosen(caption, rows_of[caption.id], count, work) for caption, count in zip(captions, counts, strict=True)
    ]
    plan = SamplePlan(captions, counts, work.seed_for, form)
    if len(plan) == 0:
        raise DataError("no image is asked for: every prompt gets 0", field="generation.allocation")
    taken = [records[row].id for rows in chosen for row in rows]
    progress = GivenProgress(plan, work.out, work.folder / "taken.jsonl", taken)
    progress.recover(work.map)
    take = Taking(config.source, images.window, form)
    missing = progress.missing()
    while batch := list(itertools.islice(missing, AT_ONCE)):
        progress.commit(work.map(lambda number: take(number, taken[number]), batch))
        work.progress.update(int((progress.state != 0).sum()), len(plan))
        work.stop_if_asked()
    Sheets(progress).update(now=True)
    progress.conclude({"format": form, "made": "elsewhere", "there": len(records)})
    return Samples(work.out)


@dataclass
class GivenProgress(GenerationProgress):
    """Which samples are taken; `sources` says what each is called where it comes from."""

    sources: Sequence[str] = ()

    def _record(self, number: int) -> Metadata:
        drawn = super()._record(number)
        return {name: value for name, value in drawn.items() if name != "seed"} | {"source": self.sources[number]}


@dataclass(frozen=True)
class Taking:
    """Reads images of a source as files of one form: as they are where every program reads them alike."""

    source: Source
    window: tuple[float, float] | None
    form: str

    def __call__(self, number: int, image_id: str) -> DrawnSample:
        path = self.source.path_of(image_id)
        is_same = path is not None and FORMS.get(path.suffix.lower()) == self.form and is_plain(path)
        content = path.read_bytes() if path is not None and is_same else self._encoded(image_id)
        return DrawnSample(number, content, hashlib.sha256(content).hexdigest())

    def _encoded(self, image_id: str) -> bytes:
        from PIL import Image

        with self.source.open(image_id) as image:
            pixels = to_rgb(image, self.window)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format=self.form, **({} if self.form == "png" else {"quality": 100}))
        return file.getvalue()


def _form(records: Sequence[Record]) -> str:
    """What the files of the samples will be; DataError where some have lost something to compression, and some not."""
    forms = Counter(FORMS.get(PurePosixPath(record.id).suffix.lower(), "png") for record in records)
    if len(forms) > 1:
        found = ", ".join(f"{n} {form}" for form, n in sorted(forms.items()))
        raise DataError(
            f"the samples come in several formats: {found}",
            hint="bring them to one: what JPEG and WebP do to an image is measured with it",
            field="samples.source",
        )
    return next(iter(forms))


def _refuse_unreadable(source: Source, records: Sequence[Record], work: Work) -> None:
    scanned = scan(source, records, work)
    broken = np.flatnonzero(scanned["error"] != b"").tolist()
    if broken:
        reason = scanned["error"][broken[0]].decode(errors="replace")
        raise DataError(
            f"{len(broken)} of {len(records)} samples do not decode: {named([records[row].id for row in broken])}"
            f" ({reason})",
            hint="make them again, or take them out",
            field="samples.source",
        )


def _chosen(caption: Prompt, rows: Sequence[int], count: int, work: Work) -> list[int]:
    """So many of the rows, by lot where there are more, in their order; DataError where there are fewer."""
    if len(rows) < count:
        raise DataError(
            f"{count} samples of prompt '{caption.id}' are asked for, the source has {len(rows)}",
            hint="make more, or ask every arm for fewer: generation.allocation",
            field="samples.source",
        )
    kept = work.rng("given", caption.id).permutation(len(rows))[:count]
    return [rows[place] for place in np.sort(kept).tolist()]


def _captioned(
    config: GivenSamplesConfig, records: Sequence[Record], images: Images, prompts: Prompts
) -> tuple[list[Prompt], dict[str, list[int]]]:
    """The prompts that the samples show, those of the arm first and in its order, and the rows of each by its id."""
    own = [*prompts.prompts, *prompts.unseen]
    if config.prompt is not None:
        texts = _column(records, config.prompt, "samples.prompt")
        known = {name: prompt for prompt in own for name in (prompt.text, prompt.id)}
        _refuse_unknown(texts, known, config.prompt, "prompt of this arm", "samples.prompt")
        of_record = [known[str(text)] for text in texts]
    else:
        labels = _labels(config, records, images)
        of_label = {prompt.label: prompt for prompt in reversed(own) if prompt.cluster is None and not prompt.columns}
        pseudo = {label: _of_label(label, images) for label in set(labels)}
        of_record = [of_label.get(label, pseudo[label]) for label in labels]
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(of_record):
        rows_of[prompt.id].append(row)
    place = {prompt.id: place for place, prompt in enumerate(own)}
    shown = {prompt.id: prompt for prompt in of_record}
    return sorted(shown.values(), key=lambda prompt: (place.get(prompt.id, len(own)), prompt.id)), rows_of


def _of_label(label: str | None, images: Images) -> Prompt:
    """What stands in the place of a prompt where only the label of an image is known."""
    train = images.train
    n_images = len(train) if label is None else int((train.labels == train.label_names.index(label)).sum())
    return Prompt(Caption(label).prompt_id, label or "", label, None, n_images)


def _labels(config: GivenSamplesConfig, records: Sequence[Record], images: Images) -> list[str | None]:
    """The label of every sample as the dataset calls it; None for all where the source has no labels."""
    column = config.label or config.label_column
    is_there = any(column in record.metadata for record in records)
    if column is None or (config.label is None and not is_there):
        return [None] * len(records)
    texts = [text and config.label_names.get(text, text) for text in _column(records, column, "samples.label")]
    _refuse_unknown(texts, {name: name for name in images.label_names}, column, "label of the dataset", "samples.label")
    return texts


def _column(records: Sequence[Record], column: str, field: str) -> list[str | None]:
    require_column(records, column, field, whose="the source of the samples")
    texts = [text_of(record.metadata.get(column)) for record in records]
    if missing := [record.id for record, text in zip(records, texts, strict=True) if text is None]:
        raise DataError(
            f"{len(missing)} of {len(records)} samples have nothing in column '{column}': {named(missing)}",
            hint="fill it in, or take these samples out",
            field=field,
        )
    return texts


def _refuse_unknown(
    texts: Sequence[str | None], known: Mapping[str, object], column: str, what: str, field: str
) -> None:
    unknown = Counter(str(text) for text in texts if text not in known)
    if unknown:
        called = {"samples.label": "; say which is which: samples.label_names: {theirs: ours}"}.get(field, "")
        raise DataError(
            f"{unknown.total()} of {len(texts)} samples have something in column '{column}' that is no {what}:"
            f" {named(list(unknown))}",
            hint=f"known: {named(list(known)) or 'none'}{called}",
            field=field,
        )

"""Dataset: list the images, decode each once, read the labels, set the held-out part aside."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from mep.artifacts import Images
from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.machine.work import Work
from mep.methods.framings import Framing
from mep.methods.sources import Record
from mep.methods.sources._endings import advice, no_image
from mep.sections.dataset import DatasetConfig
from mep.stage import stage
from mep.stages.dataset.columns import in_steps, metadata_table, require_column
from mep.stages.dataset.labels import read_labels
from mep.stages.dataset.scan import Scanned, full_window, near_duplicates, refuse_unreadable, scan
from mep.stages.dataset.split import split_images, straddling


@stage(version=6, draws=True)
def dataset(config: DatasetConfig, *, work: Work) -> Images:
    """List and decode the images, read labels, set the held-out part aside."""
    records, n_excluded = list_records(config)
    labels, label_names, findings = read_labels(records, config)
    named = [("group", config.group), ("truth", config.truth), *(("columns", column) for column in config.column_names)]
    named += [("framing", column) for column in config.framing.columns_read]
    for field, column in named:
        if column is not None:
            require_column(records, column, f"dataset.{field}")
    records = in_steps(records, config.steps)
    scanned = scan(config.source, records, work)
    refuse_unreadable(scanned, records)
    refuse_unframed(config.framing, scanned, records)
    twins = np.arange(len(scanned))
    if config.near_duplicate_bits is not None:
        twins = near_duplicates(scanned["phash"], config.near_duplicate_bits)
    stratum = findings.shown(label_names)[labels] if findings else labels
    splits = split_images(records, stratum, twins, config, work)
    modes, counts = np.unique(scanned["mode"], return_counts=True)
    full = full_window(scanned)
    window = (config.window or full) if full else None
    return Images(
        ids=[record.id for record in records],
        labels=labels,
        label_names=label_names,
        splits=splits,
        sha256=[digest.decode() for digest in scanned["sha256"].tolist()],
        sizes=np.stack([scanned["width"], scanned["height"]], 1).astype(np.int64),
        metadata=metadata_table(records),
        source=config.source,
        group=config.group,
        truth=config.truth,
        pixels={
            "window": list(window) if window else None,
            "modes": {mode.decode(): int(n) for mode, n in zip(modes, counts, strict=True)},
            "near_duplicates": int((np.bincount(twins)[twins] > 1).sum()),
            "straddling": int(straddling(twins, splits).sum()),
            "excluded": n_excluded,
        },
        findings=findings,
        framing=config.framing if config.framing.frames else None,
    )


def refuse_unframed(framing: Framing, scanned: Scanned, records: list[Record]) -> None:
    """DataError: the first image that cannot be framed as its metadata say, and how many there are."""
    refused = list(unframed(framing, scanned, records, range(len(records))))
    if refused:
        name, first = refused[0]
        more = f" ({len(refused)} images)" if len(refused) > 1 else ""
        raise DataError(f"{name} {first.message}{more}", hint=first.hint, field=first.field)


def unframed(
    framing: Framing, scanned: Scanned, records: list[Record], rows: Iterable[int]
) -> Iterator[tuple[str, DataError]]:
    """Images that cannot be framed as their metadata say, and why."""
    for row in rows:
        try:
            framing.side(int(scanned["width"][row]), int(scanned["height"][row]), records[row].metadata)
        except DataError as error:
            yield records[row].id, error


def list_records(config: DatasetConfig) -> tuple[list[Record], int]:
    """The records that are not excluded, at least two, and how many were excluded."""
    listed = config.source.records()
    excluded: set[str] = set()
    if config.exclude is not None:
        with reading_utf8(config.exclude, field="dataset.exclude"):
            excluded = set(config.exclude.read_text(encoding="utf-8-sig").splitlines())
    records = [record for record in listed if record.id not in excluded]
    if len(records) < 2:
        endings = Counter() if listed else config.source.endings()
        content = no_image(endings) if not records else f"one image only, {records[0].id}"
        hint = advice(endings) if endings else "at least two are needed"
        raise DataError(f"the dataset holds {content}", hint=hint, field="dataset.source")
    return records, len(listed) - len(records)

"""The table of `mep evaluate`, and what its reader has to know."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.markup import escape
from rich.table import Table

from mep.artifacts.score_row import ScoreRow
from mep.evaluation.folder import Folder
from mep.evaluation.folders import Evaluation, FolderComparison
from mep.report.data.arms import Key
from mep.report.text import difference_text, interval_text, plain, rounded, value_and_error
from mep.report.wording import ARROWS, MEASURED, SCALES

FEW = 2000
"""Images below which a Fréchet distance of Inception says more about the number of images than most readers expect."""


def as_table(evaluation: Evaluation) -> Table:
    """A row a metric: value ± standard error of every folder, what real images reach, differences to the first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(evaluation.rows)
    table.add_column("metric")
    for name in names:
        table.add_column(escape(plain(name)), justify="right", overflow="fold")
    table.add_column("real images reach", justify="right")
    for name in names[1:]:
        table.add_column(escape(f"{plain(name)} − first"), justify="right")
        table.add_column("p", justify="right")
    comparisons = {(*_key(comparison.row), comparison.folder): comparison for comparison in evaluation.comparisons}
    for rows in zip_longest(*([scored.row for scored in of_folder] for of_folder in evaluation.rows.values())):
        first: ScoreRow | None = rows[0]
        if first is None or first.subject != MEASURED:
            continue
        scale = SCALES.get(first.metric.split("_pca")[0], 1)
        cells = [_number(row, scale) for row in rows if row]
        cells.append("" if first.null.value is None else rounded(first.null.value * scale))
        for name in names[1:]:
            cells += _difference(comparisons.get((*_key(first), name)), scale)
        table.add_row(escape(_title(first, scale)), *cells)
    return table


def _key(row: ScoreRow) -> Key:
    return str(row.protocol.extractor), row.metric, row.group, row.reference


def _title(row: ScoreRow, scale: float) -> str:
    group = f" [{plain(row.group)}]" if row.group != "all" else ""
    against = " to training images" if row.reference == "train" else ""
    factor = " ×10³" if scale == 1000 else ""
    return f"{row.protocol.extractor} {row.metric}{factor} {ARROWS[row.better or '']}{group}{against}"


def _number(row: ScoreRow, scale: float) -> str:
    if row.estimate.value is None:
        return "–"
    return " ± ".join(filter(None, value_and_error(row.estimate.value, row.estimate.se, scale)))


def _difference(comparison: FolderComparison | None, scale: float) -> list[str]:
    if comparison is None or comparison.difference is None:
        return ["", ""]
    delta = comparison.difference
    p = delta.p if comparison.p_holm is None else comparison.p_holm
    return [f"{difference_text(delta, scale)} ({interval_text(delta, scale)})", f"{p:.3f}"]


def notes(evaluation: Evaluation, folders: Sequence[Folder], train: Folder | None) -> Iterator[str]:
    """What the numbers rest on, and what keeps them from meaning what they seem to."""
    rows = [scored.row for of_folder in evaluation.rows.values() for scored in of_folder]
    yield from _protocol_notes(rows)
    if len({len(folder) for folder in folders}) > 1:
        held = ", ".join(f"{folder.path} {len(folder):,}" for folder in folders)
        n = min(map(len, folders))
        yield f"unequal numbers of images ({held}): {n:,} of each are compared, drawn by --seed."
    yield from _flag_notes(rows, folders)
    yield from sorted({str(row.reason) for row in rows if row.estimate.value is None and row.group == "all"})
    yield from _copy_notes(folders, train)
    if len(evaluation.rows) > 1:
        yield (
            "p is of no difference, adjusted after Holm for all metrics but the first. It says whether "
            "two sets of images differ; one training each cannot support a claim about two methods."
        )


def _protocol_notes(rows: Sequence[ScoreRow]) -> Iterator[str]:
    """How many images were compared, at which size, and in which feature spaces."""
    counts, side_px = rows[0].counts, rows[0].protocol.eval_resolution
    size = "as they are" if side_px is None else f"brought to {side_px} px first"
    yield f"{counts.n_real} real against {counts.n_fake} synthetic images, {size}; ± is one standard error."
    protocols = {row.protocol.extractor: row.protocol for row in reversed(rows)}
    for extractor in dict.fromkeys(row.protocol.extractor for row in rows):
        space = protocols[extractor]
        yield f"{extractor}: {space.d} dimensions, {space.layer}, digest {str(space.digest)[:12]}, {space.resize}."


def _flag_notes(rows: Sequence[ScoreRow], folders: Sequence[Folder]) -> Iterator[str]:
    flags = {flag for row in rows for flag in row.flags}
    if "rank_deficient" in flags:
        yield "as many dimensions as images or more: read fd_excess or kid, a Fréchet distance is mostly about n here."
    elif any(row.metric == "fid" and row.counts.n_real < FEW for row in rows):
        yield f"fewer than {FEW} images: compare this FID only with one of as many images."
    if "unlike_formats" in flags:
        yield "one set is stored as JPEG and the other is not: part of every distance is that."
    if "unlike_channels" in flags:
        listing = ", ".join(f"{folder.path} {folder.format}" for folder in folders)
        yield f"unlike channels: {listing}; grey is repeated into three."


def _copy_notes(folders: Sequence[Folder], train: Folder | None) -> Iterator[str]:
    real, *synthetic = folders
    of_train = set(train.sha256 if train else ())
    of_real = set(real.sha256) | of_train
    for folder in synthetic:
        if copies := sum(sha256 in of_real for sha256 in folder.sha256):
            yield f"{copies} of {len(folder)} images in {folder.path} are files of the real images, byte for byte."
    if copies := sum(sha256 in of_train for sha256 in real.sha256):
        yield f"{copies} of {len(real)} real images are training images too: they are not held out."

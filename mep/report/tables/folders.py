"""The table of `mep evaluate`, and what its reader has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mep.report.text import interval_text, plain, rounded, rounded_error

if TYPE_CHECKING:
    from rich.table import Table

    from mep.evaluation.folder import Folder
    from mep.evaluation.folders import Evaluation, FolderComparison

FEW = 2000
"""Images below which a Fréchet distance of Inception says more about the number of images than most readers expect."""

SCALES = {"kid": 1000, "kid_gap": 1000, "kid_subsets": 1000, "kid_subsets_std": 1000}
ARROWS = {"lower": "↓", "higher": "↑"}


def as_table(found: Evaluation) -> Table:
    """A row a metric: value ± standard error of every folder, what real images reach, differences to the first."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    for name in found.rows:
        table.add_column(escape(plain(name)), justify="right", overflow="fold")
    table.add_column("real images reach", justify="right")
    for name in list(found.rows)[1:]:
        table.add_column(escape(f"{plain(name)} − first"), justify="right")
        table.add_column("p", justify="right")
    named = {(*_key(one.row.to_json()), one.folder): one for one in found.comparisons}
    first, *others = found.rows.values()
    for place, row in enumerate(first):
        fields = row.row.to_json()
        if fields["subject"] != "samples":
            continue
        scale = SCALES.get(fields["metric"].split("_pca")[0], 1)
        cells = [
            _number(fields, scale),
            *(_number(own[place].row.to_json(), scale) for own in others if place < len(own)),
        ]
        cells += ["" if fields["null"] is None else rounded(fields["null"] * scale)]
        for name in list(found.rows)[1:]:
            cells += _difference(named.get((*_key(fields), name)), scale)
        table.add_row(escape(_title(fields, scale)), *cells)
    return table


def _key(fields: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(fields[name]) for name in ("extractor", "metric", "reference", "group"))


def _title(fields: dict[str, Any], scale: float) -> str:
    parts = [fields["extractor"], fields["metric"] + (" ×10³" if scale == 1000 else ""), ARROWS[fields["better"]]]
    parts += [f"[{plain(fields['group'])}]"] if fields["group"] != "all" else []
    return " ".join(parts + (["to training images"] if fields["reference"] == "train" else []))


def _number(fields: dict[str, Any], scale: float) -> str:
    value, se = fields["value"], fields["se"]
    if value is None:
        return "–"
    if se is None:
        return rounded(value * scale)
    return f"{rounded(value * scale, se * scale)} ± {rounded_error(se * scale)}"


def _difference(one: FolderComparison | None, scale: float) -> list[str]:
    if one is None or one.difference is None:
        return ["", ""]
    delta = one.difference
    p = next(p for p in (one.p_permutation, one.p_holm, delta.p) if p is not None)
    return [
        f"{rounded(delta.value * scale, delta.se * scale, signed=True)} ({interval_text(delta, scale)})",
        f"{p:.3f}",
    ]


def notes(found: Evaluation, folders: Sequence[Folder], train: Folder | None) -> Iterator[str]:
    """What the numbers rest on, and what keeps them from meaning what they seem to."""
    rows = [row.row.to_json() for own in found.rows.values() for row in own]
    first = rows[0]
    size = "as they are" if first["eval_resolution"] is None else f"brought to {first['eval_resolution']} px first"
    yield f"{first['n_real']} real against {first['n_fake']} synthetic images, {size}; ± is one standard error."
    for extractor in dict.fromkeys(row["extractor"] for row in rows):
        own = next(row for row in rows if row["extractor"] == extractor)
        yield f"{extractor}: {own['d']} dimensions, {own['layer']}, digest {own['digest'][:12]}, {own['resize']}."
    flags = {flag for row in rows for flag in row["flags"]}
    if "rank_deficient" in flags:
        yield "as many dimensions as images or more: read fd_excess or kid, a Fréchet distance is mostly about n here."
    elif any(row["metric"] == "fid" and row["n_real"] < FEW for row in rows):
        yield f"fewer than {FEW} images: compare this FID only with one of as many images."
    if "unlike_formats" in flags:
        yield "one set is stored as JPEG and the other is not: part of every distance is that."
    if "unlike_channels" in flags:
        listing = ", ".join(f"{one.path} {one.format}" for one in folders)
        yield f"unlike channels: {listing}; grey is repeated into three."
    reasons = {row["reason"] for row in rows if row["value"] is None and row["group"] == "all"}
    yield from sorted(str(reason) for reason in reasons)
    of_real = set(folders[0].sha256) | set(train.sha256 if train else ())
    for one in folders[1:]:
        if same := sum(sha256 in of_real for sha256 in one.sha256):
            yield f"{same} of {len(one)} images in {one.path} are files of the real images, byte for byte."
    if train and (same := sum(sha256 in set(train.sha256) for sha256 in folders[0].sha256)):
        yield f"{same} of {len(folders[0])} real images are training images too: they are not held out."
    if len(found.rows) > 1:
        yield (
            "p is of no difference: of kid by permutation, of others from halves, adjusted after Holm. It says whether "
            "two sets of images differ; one training each cannot support a claim about two methods."
        )

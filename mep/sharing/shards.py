"""Synthetic images as parquet shards, which `datasets.load_dataset` streams and the hub shows."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.sharing.selection import Row, Selection

if TYPE_CHECKING:
    from datasets import Features

SHARD_BYTES = 400_000_000
"""About what the hub asks for: its viewer reads shards of up to 500 MB."""
GROUP_ROWS = 100
"""Rows that a reader fetches at once: of images, `datasets` writes so many itself."""


def features_of(chosen: Selection) -> "Features":
    """Column -> type: image, prompt, label, cluster, prompt_id, seed; no label or cluster where no image has one."""
    from datasets import ClassLabel, Features, Image, Value

    columns: dict[str, Any] = {"image": Image(), "prompt": Value("string")}
    labels = sorted({row["label"] for row in chosen.rows if row["label"] is not None})
    columns |= {"label": ClassLabel(names=labels)} if labels else {}
    columns |= {"cluster": Value("int64")} if any(row.get("cluster") is not None for row in chosen.rows) else {}
    return Features(columns | {"prompt_id": Value("string"), "seed": Value("int64")})


def write_shards(chosen: Selection, features: "Features", folder: Path) -> list[Path]:
    """`data/train-00000-of-0000N.parquet` under a folder; a hundred images are in memory at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = list(_parts(chosen))
    (folder / "data").mkdir(parents=True)
    paths = []
    for number, rows in enumerate(parts):
        path = folder / "data" / f"train-{number:05d}-of-{len(parts):05d}.parquet"
        with pq.ParquetWriter(path, features.arrow_schema) as writer:
            for start in range(0, len(rows), GROUP_ROWS):
                records = [_record(chosen, row, features) for row in rows[start : start + GROUP_ROWS]]
                writer.write_table(pa.Table.from_pylist(records, features.arrow_schema), GROUP_ROWS)
        paths.append(path)
    return paths


def _parts(chosen: Selection) -> Iterator[Sequence[Row]]:
    """The rows of each shard."""
    first = n_bytes = 0
    for place, row in enumerate(chosen.rows):
        n_bytes += chosen.path_of(row).stat().st_size
        if n_bytes > SHARD_BYTES and place > first:
            yield chosen.rows[first:place]
            first, n_bytes = place, chosen.path_of(row).stat().st_size
    yield chosen.rows[first:]


def _record(chosen: Selection, row: Row, features: "Features") -> dict[str, object]:
    """One sample; the name of a caption that stays behind does so too, and files are called by their digest."""
    path, caption = chosen.path_of(row), chosen.captions[row["prompt_id"]]
    content = path.read_bytes()
    image = {"bytes": content, "path": f"{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"}
    record = {"image": image, "prompt": caption, "cluster": row.get("cluster"), "seed": row.get("seed")}
    record |= {"prompt_id": None if caption is None else row["prompt_id"]}
    if "label" in features:
        record["label"] = None if row["label"] is None else features["label"].str2int(row["label"])
    return {name: record[name] for name in features}

"""Vectors that were made elsewhere, in the place of an embedder."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mep.errors import DataError
from mep.machine.files import sha256_of
from mep.methods.embedders.table import Table
from mep.sections.embedding import EmbeddingConfig

IDS = ["a.png", "b.png", "c.png"]
VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def of_npy(folder, vectors=VECTORS, names=IDS):
    np.save(folder / "v.npy", vectors)
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in names))
    return Table(kind="table", path=folder / "v.npy", ids=folder / "ids.txt")


def test_vectors_come_by_name_and_not_by_place(tmp_path):
    pq.write_table(pa.table({"image": IDS[::-1], "v": VECTORS[::-1].tolist()}), tmp_path / "v.parquet")
    for table in (Table(kind="table", path=tmp_path / "v.parquet"), of_npy(tmp_path)):
        assert np.array_equal(table.known(["c.png", "a.png"]), VECTORS[[2, 0]])


def test_the_content_enters_the_fingerprint_and_the_place_does_not(tmp_path):
    table = of_npy(tmp_path)
    assert table.externals(sha256_of) == {
        "vectors": sha256_of(tmp_path / "v.npy"),
        "ids": sha256_of(tmp_path / "ids.txt"),
    }
    assert table.dump() == {"kind": "table", "path": None, "ids": None, "id": None, "columns": []}


@pytest.mark.parametrize(
    ("vectors", "names", "message"),
    [
        (VECTORS, IDS[:2], r"holds float32 3x4, and .* names 2 images"),
        (VECTORS.astype(int), IDS, "holds int64 3x4"),
        (VECTORS[0], IDS[:1], "holds float32 4,"),
        (VECTORS, ["a.png", "b.png", "x.png"], "has no vector of 1 of 3 images: c.png"),
        (np.where(np.arange(4) == 1, np.nan, VECTORS), IDS, "not finite, of a.png, b.png, c.png"),
    ],
)
def test_what_does_not_fit_the_images_is_told(tmp_path, vectors, names, message):
    with pytest.raises(DataError, match=message) as caught:
        of_npy(tmp_path, vectors, names).known(IDS)
    assert caught.value.field == "embedding.model"


def test_a_pickle_is_never_opened(tmp_path):
    with pytest.raises(DataError, match=r"is no \.npy file"):
        of_npy(tmp_path, np.array([{}, {}, {}], dtype=object)).known(IDS)


def test_names_belong_to_npy_alone_and_a_table_has_no_other_view(tmp_path):
    with pytest.raises(ValidationError, match="does not name its images"):
        Table(kind="table", path=tmp_path / "v.npy")
    with pytest.raises(ValidationError, match="made from the images already"):
        EmbeddingConfig(model=Table(kind="table", path=tmp_path / "v.parquet"), view="canny")

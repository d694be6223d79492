"""Tables that were made elsewhere: how rows find their images, and what is said of those that do not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mep.errors import DataError
from mep.machine.tables import read_table, text_of

IDS = ["train/a.png", "train/b.png", "test/c.png"]


@pytest.fixture
def table(tmp_path):
    def written(text, name="table.csv", id_column=None):
        (tmp_path / name).write_text(text)
        return read_table(tmp_path / name, id_column, "clustering.method")

    return written


@pytest.mark.parametrize("names", [IDS, ["a.png", "b.png", "c.png"], ["a", "b", "c"], ["b.tif", "a.tif", "c.tif"]])
def test_a_row_calls_an_image_by_its_path_its_file_name_or_its_stem(table, names):
    found = table("id,type\n" + "".join(f"{name},t-{name[-5:]}\n" for name in names))
    assert [names[row] for row in found.rows_of(IDS)] == sorted(names, key=lambda name: name[-5:].lstrip("/"))


def test_a_file_name_that_two_images_have_names_neither(table):
    found = table("id,type\na.png,x\n")
    assert found.rows_of(["one/a.png", "two/a.png"]).tolist() == [-1, -1]
    assert found.rows_of(["one/a.png", "two/b.png"]).tolist() == [0, -1]


def test_images_without_a_row_are_counted_and_named(table):
    found = table("id,type\na.png,x\n")
    with pytest.raises(DataError, match=r"has no type of 5 of 6 images: b.png, c.png, d.png and 2 more") as caught:
        found.all_rows_of([f"{letter}.png" for letter in "abcdef"], "type")
    assert caught.value.field == "clustering.method"
    with pytest.raises(DataError, match="for none of the 3 images") as caught:
        table("id,type\nx.png,x\n").some_rows_of(IDS)
    assert caught.value.hint == "it names x.png; the images are train/a.png, train/b.png, test/c.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,type\na,x\n", "no column that names the image"),
        ("", "no column that names the image"),
        ("id,type\na,x\na,y\n", "several rows for a"),
        ("id,type\na,x\n,y\n", "row 2 has nothing in column 'id'"),
        ("id,type\na,x,y\n", r"table.csv:2: not as many values"),
        ("id,type\na\n", r"table.csv:2: not as many values"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(table, text, message):
    with pytest.raises(DataError, match=message):
        table(text)


def test_the_column_that_names_the_image_can_be_named(table):
    assert table("slide,tile\ns,a\ns,b\n", id_column="tile").ids == ["a", "b"]
    with pytest.raises(DataError, match="no column 'tiel'") as caught:
        table("slide,tile\ns,a\n", id_column="tiel")
    assert "slide, tile" in caught.value.hint
    assert table("a.png\n\nb.png\n", "out.txt").ids == ["a.png", "b.png"]
    assert table("id\ttype\na\tx, y\n", "t.tsv").column("type") == ["x, y"]


def test_vectors_stand_in_one_column_of_lists_or_in_columns_that_are_named(tmp_path, table):
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    pq.write_table(pa.table({"id": IDS, "v": vectors.tolist(), "label": [1, 0, 1]}), tmp_path / "v.parquet")
    assert np.array_equal(read_table(tmp_path / "v.parquet", None, "f").vectors([]), vectors)
    wide = table("id,f0,f1,label\n" + "".join(f"{i},{a},{b},1\n" for i, (a, b) in zip(IDS, vectors, strict=True)))
    assert np.array_equal(wide.vectors(["f*"]), vectors)
    with pytest.raises(DataError, match=r"which columns of .* hold the vector\? no column holds lists"):
        wide.vectors([])  # a label among the numbers would make the clusters
    with pytest.raises(DataError, match=r"has no column 'g\*'"):
        wide.vectors(["f*", "g*"])


def test_what_is_no_vector_is_told_with_its_column(tmp_path, table):
    pq.write_table(pa.table({"id": ["a", "b"], "v": [[1.0, 2.0], [3.0]]}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match=r"column 'v' of .* holds no vectors"):
        read_table(tmp_path / "v.parquet", None, "f").vectors([])
    with pytest.raises(DataError, match=r"column 'f1' of .* holds no vectors"):
        table("id,f0,f1\na,1,x\n").vectors(["f*"])
    (tmp_path / "no.parquet").write_text("id,type\n")
    with pytest.raises(DataError, match="is no parquet file"):
        read_table(tmp_path / "no.parquet", None, "f")


def test_whole_numbers_and_blanks_are_what_a_reader_takes_them_for():
    assert [text_of(value) for value in (3.0, 3, " x ", "", "NaN", float("nan"), None, True)] == [
        *("3", "3", "x"),
        *(None, None, None, None),
        "true",
    ]

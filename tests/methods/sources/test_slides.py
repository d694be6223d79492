import numpy as np
import pytest
import tifffile
from pydantic import ValidationError
from slide_files import tissue_slide, write_slide

from mep.errors import DataError, EnvironmentLacks
from mep.imaging.pixels import to_rgb
from mep.machine.files import sha256_of
from mep.methods.sources._slide import opened
from mep.methods.sources.slides import Slides

PIXELS = tissue_slide()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    write_slide(folder / "train" / "a.svs", PIXELS)
    write_slide(folder / "test" / "b.ome.tif", PIXELS, ome=True)
    return folder


def slides(path, **settings):
    scale = {} if settings.keys() & {"um_per_px", "magnification"} else {"um_per_px": 0.5}
    return Slides(kind="slides", path=path, **scale, **settings)


def covered(records, side):
    """bool (h, w): what the tiles of these records cover."""
    seen = np.zeros(PIXELS.shape[:2], bool)
    for record in records:
        x, y = record.metadata["x"], record.metadata["y"]
        seen[y : y + side, x : x + side] = True
    return seen


@pytest.mark.parametrize("name", ["train/a.svs", "test/b.ome.tif"])
def test_a_tile_is_the_region_of_the_slide(folder, name):
    source = slides(folder / name, tile_px=128, tissue=0)
    records = source.records()
    assert len(records) == (1400 // 128) * (1100 // 128)
    for record in records[::9]:
        x, y = record.metadata["x"], record.metadata["y"]
        wanted = PIXELS[y : y + 128, x : x + 128].astype(float)
        error = np.abs(to_rgb(source.open(record.id)) - wanted).mean()
        assert error < (0.01 if name.endswith(".tif") else 2.5)  # JPEG loses a little


@pytest.mark.parametrize(("um_per_px", "factor"), [(1.0, 2), (2.0, 4), (1.5, 3)])
def test_tiles_are_at_the_scale_that_is_asked_for_whether_or_not_a_level_has_it(folder, um_per_px, factor):
    from PIL import Image

    source = slides(folder / "test", um_per_px=um_per_px, tile_px=64, tissue=0)
    for record in source.records()[::5]:
        x, y, side = record.metadata["x"], record.metadata["y"], 64 * factor
        region = Image.fromarray(PIXELS[y : y + side, x : x + side])
        wanted = np.asarray(region.resize((64, 64), Image.Resampling.BOX)).astype(float)
        assert np.abs(to_rgb(source.open(record.id)) - wanted).mean() < (
            5 if factor == 3 else 2
        )  # no level has 3: it is resized


def test_magnification_says_the_same_in_other_words(folder):
    by_scale, by_power = slides(folder, um_per_px=1.0, tissue=0), slides(folder, magnification=10, tissue=0)
    assert len(by_scale.records()) > 2
    assert by_scale.records() == by_power.records()
    with pytest.raises(ValidationError, match="either um_per_px or magnification"):
        Slides(kind="slides", path=folder)


def test_only_tiles_with_tissue_are_taken(folder):
    records = slides(folder / "train" / "a.svs", tile_px=64, tissue=0.5).records()
    seen = covered(records, 64)
    is_tissue = np.zeros_like(seen)
    is_tissue[40:552, 60:572] = is_tissue[-512:, -512:] = True
    assert (seen & ~is_tissue).sum() < 0.05 * seen.sum()
    assert (seen & is_tissue).sum() > 0.45 * is_tissue.sum()  # the rest has hardly any colour


def test_a_blank_slide_has_no_tissue_and_is_told(tmp_path):
    blank = np.random.default_rng(0).normal(243, 1.5, (600, 600, 3)).clip(0, 255)
    write_slide(tmp_path / "blank.svs", blank.astype(np.uint8))
    with pytest.raises(DataError, match="no tile of 64 px holds enough tissue, in 1 slides"):
        slides(tmp_path, tile_px=64, tissue=0.1).records()
    write_slide(tmp_path / "tissue.svs", PIXELS)
    source = slides(tmp_path, tile_px=64, tissue=0.1)
    for _ in range(2):
        assert {record.metadata["slide"] for record in source.records()} == {"tissue.svs"}
    assert [text for _, _, text, _ in source.problems()] == [
        "blank.svs gives no tile: it is too small, or holds too little tissue"
    ]


def test_strides_overlap_and_the_slide_is_the_group(folder):
    touching, overlapping = (slides(folder, tile_px=128, stride_px=step, tissue=0) for step in (None, 64))
    assert len(overlapping.records()) > 3.5 * len(touching.records())
    record = touching.records()[0]
    assert (record.split, record.metadata["slide"]) == ("test", "test/b.ome.tif")
    assert record.id.startswith("test/b.ome.tif#x000000y000000")


def test_a_slide_without_a_scale_is_told_until_the_recipe_says_it(tmp_path):
    write_slide(tmp_path / "a.svs", PIXELS, um_per_px=None)
    with pytest.raises(DataError, match=r"a\.svs says neither its micrometres a pixel nor its magnification") as caught:
        slides(tmp_path).records()
    assert "assumed_um_per_px" in caught.value.hint
    assert slides(tmp_path, assumed_um_per_px=0.5).records()


@pytest.mark.parametrize(
    ("size", "unit", "um_per_px"),
    [(0.5, None, 0.5), (0.5, "µm", 0.5), (500, "nm", 0.5), (5e-4, "mm", 0.5), (0.5, "pixel", None), (0, "µm", None)],
)
def test_the_scale_of_an_ome_tiff_has_a_unit(tmp_path, size, unit, um_per_px):
    units = {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        told = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": size} | units
        file.write(PIXELS[:256, :256], metadata=told, tile=(256, 256), photometric="rgb")
    assert opened(tmp_path / "a.ome.tif", "tiffslide", 0).um_per_px == (um_per_px and pytest.approx(um_per_px))


@pytest.mark.parametrize(("told", "um_per_px"), [("AppMag = 20|MPP = 0", 0.5), ("AppMag = 0|MPP = nan", None)])
def test_a_scale_that_is_no_number_above_0_is_none(tmp_path, told, um_per_px):
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        description = f"Aperio Image Library v1|{told}"
        file.write(PIXELS[:256, :256], description=description, metadata=None, tile=(256, 256), photometric="rgb")
    assert opened(tmp_path / "a.svs", "openslide", 0).um_per_px == um_per_px


def test_finer_tiles_than_the_slide_has_are_refused(folder):
    with pytest.raises(DataError, match=r"has 0\.5 um/px at its finest, 0\.25 are wanted"):
        slides(folder / "train" / "a.svs", um_per_px=0.25).records()


def test_what_is_no_slide_is_listed_so_that_lint_finds_it(tmp_path):
    (tmp_path / "empty.svs").touch()
    (tmp_path / "text.svs").write_text("no slide")
    planes = np.zeros((3, 128, 128), np.uint8)
    tifffile.imwrite(tmp_path / "planes.ome.tif", planes, photometric="rgb", planarconfig="separate", tile=(64, 64))
    tifffile.imwrite(tmp_path / "sixteen.ome.tif", PIXELS.astype(np.uint16), photometric="rgb", tile=(64, 64))
    source = slides(tmp_path)
    assert [record.id for record in source.records()] == ["empty.svs", "planes.ome.tif", "sixteen.ome.tif", "text.svs"]
    messages = {"empty.svs": "the file is empty", "planes.ome.tif": "its colours lie in planes of their own"}
    messages["sixteen.ome.tif"] = "its pixels are not RGB of 8 bits"
    for name, message in (messages | {"text.svs": "openslide cannot open it"}).items():
        with pytest.raises(DataError, match=message):
            source.open(name)


def test_the_folder_beside_a_mirax_slide_belongs_to_its_content(tmp_path):
    (tmp_path / "a.mrxs").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Data0000.dat").write_text("1")
    before = slides(tmp_path).externals(sha256_of)
    (tmp_path / "a" / "Data0000.dat").write_text("2")
    assert slides(tmp_path).externals(sha256_of) != before


def test_the_library_that_is_missing_is_named(folder, monkeypatch):
    import importlib

    def refuse(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(EnvironmentLacks, match="openslide-python openslide-bin is missing") as caught:
        slides(folder).require()
    assert caught.value.hint.startswith("pip install 'mep[slides]'")

"""A page is made of what earlier pages were made of, and is the same with and without."""

import subprocess
import sys

import numpy as np
import pytest
from drawn_run import RUN, Drawn, finished, save_picture
from PIL import Image

from mep.artifacts import Images, Samples
from mep.report import gather, write_html
from mep.report.data import kept
from mep.report.data.kept import NAME, Kept
from mep.report.figures import pictures


@pytest.fixture
def drawn(tmp_path):
    drawn = Drawn(tmp_path, spread=True)
    finished(drawn)
    return drawn


def page(drawn):
    write_html(gather(drawn.store, [RUN]), drawn.root / "page.html")
    return (drawn.root / "page.html").read_bytes()


def test_a_second_page_reads_no_image_of_the_data_and_no_sample_and_is_the_same(drawn, monkeypatch):
    first = page(drawn)
    for home, verb in ((Images, "read"), (Samples, "read"), (Image, "fromarray")):
        monkeypatch.setattr(home, verb, lambda *_: pytest.fail("an image was read, scaled or written"))
    assert page(drawn) == first


def test_an_image_that_has_changed_since_is_shown_as_it_is_now(drawn):
    first = page(drawn)
    save_picture(drawn.folder / drawn.ids[0], np.random.default_rng(9), size=40)
    changed = page(drawn)
    (drawn.store.root / "cache" / NAME).unlink()
    assert first != changed == page(drawn)


def test_other_versions_and_other_bounds_have_pictures_of_their_own(monkeypatch):
    made, pixels = Kept(), np.zeros((40, 40, 3), np.uint8)
    shot = pictures.Shot(lambda: pixels, lambda: "always the same")
    assert [pictures.Pictures(1e6, side, made).of(shot, "").side_px for side in (20, 30)] == [20, 30]
    made.keep("key", "text")
    monkeypatch.setattr(kept, "_made_with", lambda: "another mep")
    assert made.find("key") is None


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_damaged_file_costs_time_and_nothing_else(drawn, content):
    first, file = page(drawn), drawn.store.root / "cache" / NAME
    file.write_bytes(file.read_bytes()[:5000] if content is None else content)
    assert page(drawn) == first
    assert page(drawn) == first
    assert Kept(file).find("absent") is None


def test_a_file_that_has_grown_too_large_begins_anew(tmp_path, monkeypatch):
    for key in ("one", "two"):
        some = Kept(tmp_path / NAME)
        some.keep(key, key)
        monkeypatch.setattr(kept, "MOST_BYTES", 1 if key == "one" else 10**9)
        some.save()
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    some = Kept(tmp_path / NAME)
    some.keep("three", "3")
    some.save()
    assert [Kept(tmp_path / NAME).find(key) for key in ("one", "two", "three")] == [None, None, "3"]


def test_a_report_imports_no_library_that_it_does_not_need(drawn):
    heavy = [
        "scipy.stats",
        "scipy.optimize",
        "pandas",
        "skimage",
        "sklearn",
        "matplotlib",
        "torch",
        "PIL.AvifImagePlugin",
    ]
    code = "import sys; from mep.cli.main import main; main(sys.argv[1:], standalone_mode=False);"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    asked = ["--runs", str(drawn.store.root), "report", "--format", "html", RUN]
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

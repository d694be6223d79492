"""The sheet of clusters in a real browser: names are typed, kept, saved, and read by a recipe."""

import pytest
import yaml
from devtools import Page
from drawn_run import PLAIN, RUN, settings
from study_run import mep, study_run

from mep.recipe import load_recipe

HOSTILE = '</script><b>"dense": {lymph}'


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    drawn = study_run(tmp_path_factory.mktemp("sheet"), cluster_names=("gland", ""))
    done = mep(drawn, "clusters", RUN)
    assert done.exit_code == 0, done.output
    return drawn, drawn.store.run_folder(RUN) / "clusters.html"


@pytest.fixture
def page(chromium, tmp_path, sheet):
    with Page(chromium, tmp_path) as opened:
        opened.open(sheet[1])
        yield opened


def test_names_are_typed_kept_saved_and_read_by_a_recipe(page, sheet, tmp_path):
    drawn, path = sheet
    assert page.run("document.getElementById('name-0').value") == "gland"
    assert page.run("document.getElementById('count').textContent") == "1 of 2 named"
    page.run("document.getElementById('name-0').focus()")
    page.press("Enter")
    page.type(HOSTILE)
    assert page.run("document.getElementById('count').textContent") == "2 of 2 named"
    page.open(path)  # what was typed is still there
    assert page.run("document.getElementById('name-1').value") == HOSTILE
    page.run("document.querySelector('#save button').click()")
    (tmp_path / "names.yaml").write_bytes(page.downloaded(kind="yaml").read_bytes())
    recipe = settings(drawn.folder, template=PLAIN) | {"extends": "names.yaml"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    names = load_recipe(tmp_path / "recipe.yaml").arms["mep"].prompts.cluster_names
    assert names == {0: "gland", 1: HOSTILE}
    assert all(url.startswith(("file:", "blob:")) for url in page.requests())
    assert page.complaints() == []


def test_every_cluster_shows_its_typical_images_and_its_edge(page):
    strips = (
        "[...document.querySelectorAll('.cluster')].map("
        "one => [...one.querySelectorAll('.strip')].map(strip => strip.querySelectorAll('img').length))"
    )
    assert page.run(strips) == [[4], [4]]  # eight training images, four in each: all are typical
    assert page.run("[...document.querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 0)")


def test_a_narrow_screen_needs_no_sideways_scrolling(page, sheet):
    page.open(sheet[1], width=360, height=700)
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_name_that_was_found_is_taken_over_by_a_click_and_stays_out_of_the_file_until_then(chromium, tmp_path):
    found = {"name": "gland", "margin": 0.02, "se": None, "next": "fat", "share": 1.0, "images": 1}
    drawn = study_run(tmp_path / "run", cluster_names=("", ""), found=[found | {"cluster": n} for n in (0, 1)])
    assert mep(drawn, "clusters", RUN).exit_code == 0
    with Page(chromium, tmp_path) as page:
        page.open(drawn.store.run_folder(RUN) / "clusters.html")
        assert page.run("document.getElementById('count').textContent") == "0 of 2 named, 2 found"
        page.run("document.querySelector('button[data-take=\"1\"]').click()")
        assert page.run("document.getElementById('count').textContent") == "1 of 2 named, 1 found"
        page.run("document.querySelector('#save button').click()")
        saved = yaml.safe_load(page.downloaded(kind="yaml").read_bytes())
        assert saved["prompts"]["cluster_names"] == {1: "gland"}
        assert page.complaints() == []

"""The page on paper, and its pictures: nothing cut off, nothing hidden, every pixel."""

import pytest
from shown_page import page_in_browser

A4_PX = 718
"""Width of a sheet of A4 with margins of 1 cm, in CSS pixels."""


@pytest.fixture(scope="module")
def shown(chromium, tmp_path_factory):
    with page_in_browser(chromium, tmp_path_factory.mktemp("page")) as (page, path):
        page.open(path)
        yield page


@pytest.fixture
def on_paper(shown):
    shown.call("Emulation.setDeviceMetricsOverride", width=A4_PX, height=1000, deviceScaleFactor=1, mobile=False)
    shown.call("Emulation.setEmulatedMedia", media="print")
    shown.wait_for(f"innerWidth === {A4_PX} && matchMedia('print').matches")
    yield shown
    shown.call("Emulation.setEmulatedMedia", media="")
    shown.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def test_a_near_copy_hides_no_picture_of_another(shown):
    boxes = """[...document.querySelectorAll('.pairs figure')].map(one => ({
      own: one.getBoundingClientRect().right,
      last: Math.max(...[...one.querySelectorAll('img, .gone')].map(each => each.getBoundingClientRect().right))}))"""
    found = shown.run(boxes)
    assert found
    assert all(box["last"] <= box["own"] + 0.5 for box in found)


def test_pictures_are_lossless_and_enlarged_smoothly(shown):
    styles = "[...new Set([...document.images].map(one => getComputedStyle(one).imageRendering))]"
    assert shown.run(styles) == ["auto"]
    # RIFF....WEBPVP8L: the lossless kind of WebP
    lossy = "[...document.images].filter(one => !atob(one.src.split(',')[1].slice(0, 24)).includes('VP8L')).length"
    assert shown.run(lossy) == 0


def test_paper_shows_what_is_folded_on_the_screen(on_paper):
    folded = """[...document.querySelectorAll('details:not([open])')].filter(one =>
      one.lastElementChild.getBoundingClientRect().height < 5 || !one.lastElementChild.checkVisibility()).length"""
    assert on_paper.run("document.querySelectorAll('details:not([open])').length") > 2
    assert on_paper.run(folded) == 0


def test_paper_has_no_line_after_the_last_section(on_paper):
    assert on_paper.run("getComputedStyle(document.querySelector('footer')).display") == "none"


def test_paper_cuts_no_column_off(on_paper):
    cut = """[...document.querySelectorAll('td, th')].filter(one => one.getBoundingClientRect().right > innerWidth + 1)
      .map(one => one.closest('section').id + ': ' + one.textContent.trim().slice(0, 40))"""
    assert on_paper.run(cut) == []

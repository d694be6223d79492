"""A reader at a real browser: keys, a phone, the file that comes out, and what it is scored as."""

import json
from pathlib import Path

import pytest
from devtools import Page
from drawn_run import RUN
from study_run import mep, study_run


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A run, the page of a study of 12 images, and its key."""
    drawn = study_run(tmp_path_factory.mktemp("study"))
    page = Path(mep(drawn, "reader-study", RUN, "--images", 12).stdout.strip())
    key = json.loads((drawn.store.run_folder(RUN) / "reader-keys" / f"{page.stem}.json").read_text())
    return drawn, page, key


@pytest.fixture
def page(chromium, tmp_path):
    with Page(chromium, tmp_path) as opened:
        yield opened


def begin(page, name):
    page.type(name)
    page.press("Enter")
    page.wait_for("!document.getElementById('reading').hidden")


def text_of(page, name):
    return page.run(f"document.getElementById('{name}').textContent")


def shown_item(page):
    return page.run("images.indexOf(document.getElementById('image').src) + 1")


def test_a_study_is_read_by_keyboard_saved_and_scored(page, study, tmp_path):
    drawn, path, key = study
    truth = {row["item"]: row["truth"] for row in key["items"]}
    page.open(path)
    begin(page, "Dr. Müller, A.")
    wrong = []
    for place in range(12):
        assert text_of(page, "place") == f"{place + 1} of 12"
        item = shown_item(page)
        right = truth[item][0]
        if place < 2:
            wrong.append(truth[item])
            right = {"r": "s", "s": "r"}[right]
        page.press(right)
        assert text_of(page, "place") == f"{place + 1} of 12"  # how sure is open yet
        page.press(str(1 + place % 5))
    assert "All 12 images are answered" in text_of(page, "summary")
    page.press("Enter")  # the button that saves has the focus
    answers = page.downloaded()
    found = json.loads(mep(drawn, "reader-score", RUN, answers, "--json").stdout)
    (reader,) = found["readers"]
    assert reader["reader"] == "Dr. Müller, A."
    assert reader["accuracy"]["value"] == 10 / 12
    assert 0.5 < reader["auc"]["value"] < 1
    assert reader["sensitivity"]["value"] == (6 - wrong.count("synthetic")) / 6
    assert page.complaints() == []
    assert [url for url in page.requests() if not url.startswith(("file:", "blob:"))] == []


def test_a_reader_goes_back_changes_an_answer_and_goes_on_another_day(page, study):
    _, path, _ = study
    page.open(path)
    begin(page, "x")
    first = shown_item(page)
    for key in ("r", "2", "s", "5", "ArrowLeft", "ArrowLeft"):
        page.press(key)
    assert shown_item(page) == first
    assert page.run("document.getElementById('real').getAttribute('aria-pressed')") == "true"
    page.press("s")
    page.press("4")
    page.open(path)  # closed and opened again
    page.type("x")
    assert text_of(page, "known") == "You go on where you stopped: 2 of 12 answered."
    page.press("Enter")
    assert text_of(page, "place") == "2 of 12"
    page.press("ArrowLeft")
    assert page.run("document.getElementById('synthetic').getAttribute('aria-pressed')") == "true"
    page.run("document.getElementById('finish').click()")
    assert text_of(page, "summary") == "10 of 12 images have no answer yet"
    assert page.run("document.querySelectorAll('#open button').length") == 10


def test_readers_see_the_images_in_orders_of_their_own(page, study):
    _, path, _ = study
    orders = []
    for name in ("a", "b", "a"):
        page.open(path)
        begin(page, name)
        orders.append(page.run("state.order.join()"))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(map(int, orders[0].split(","))) == list(range(12))


def test_types_are_learned_by_example_and_named_by_key(page, tmp_path_factory):
    drawn = study_run(tmp_path_factory.mktemp("types"), cluster_names=("glands", "stroma"))
    path = mep(drawn, "reader-study", RUN, "--images", 8, "--name", "clusters").stdout.strip()
    page.open(Path(path), width=390, height=844)
    assert page.run("document.querySelectorAll('#learn figure').length") == 2
    assert page.run("[...document.querySelectorAll('#learn img')].every(one => one.naturalWidth)")
    begin(page, "x")
    for key in "r", "4", "2":
        page.press(key)
    assert text_of(page, "place") == "2 of 8"
    page.press("ArrowLeft")
    pressed = page.run("document.querySelector('[data-type][aria-pressed=true]').textContent")
    assert pressed == "2 stroma"
    assert page.run("document.documentElement.scrollHeight") == 844
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.complaints() == []


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (844, 390)])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_screen_fits_a_desk_and_a_phone(page, study, width, height, dark):
    page.open(study[1], width=width, height=height, dark=dark)
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 24, 27)" if dark else "rgb(255, 255, 255)")
    assert page.run("document.documentElement.scrollWidth") == width
    begin(page, "x")
    page.wait_for("document.getElementById('image').complete && document.getElementById('image').style.width")
    box = page.run("(({left, right, top, bottom}) => [left, right, top, bottom])(image.getBoundingClientRect())")
    assert 0 <= box[0] < box[1] <= width
    assert 0 <= box[2] < box[3] <= height
    assert page.run("document.documentElement.scrollHeight") == height  # nothing to scroll for the next answer
    assert page.run("synthetic.getBoundingClientRect().bottom") <= height
    page.run("document.getElementById('finish').click()")
    assert page.run("document.documentElement.scrollWidth") == width

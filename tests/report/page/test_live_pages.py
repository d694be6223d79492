"""Pages of a run that goes on, and the list of all runs."""

import json
import time

import numpy as np
from drawn_run import RUN, save_picture
from run_at_work import training_at_work
from shown_report import Page, comparison

from mep.report import verdict, write_html
from mep.report.page.cards import recipe_differences
from mep.report.page.index import write_index
from mep.report.page.live_pages import LivePages
from mep.report.page.running import write_running
from mep.store import locks


def at_work(drawn):
    """A run of which the training of one arm is done and that of the other goes on."""
    drawn.shared_stages()
    drawn.own_stages("label-only")
    work = training_at_work(drawn, n_losses=50, reached={50: 250})
    save_picture(work / "looks" / "000000025.png", np.random.default_rng(0), size=40)


def test_the_page_of_a_running_run_shows_time_left_losses_and_samples_so_far(drawn, tmp_path):
    at_work(drawn)
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        now = write_running(drawn.store, RUN, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert now.state == "running"
    assert 'http-equiv="refresh"' in html
    assert "training of mep: 250 of 1000, about" in " ".join(Page(html).text.split())
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    unet = next(one for one in data["curves"] if one["id"] == "loss-unet")
    assert [curve["name"] for curve in unet["curves"]] == ["label-only", "mep"]
    assert len(unet["curves"][1]["x"]) == 49  # running means over two of fifty steps
    assert "sample of mep after step 25, prompt 1" in html


def test_the_list_of_runs_tells_verdict_state_pictures_and_what_a_recipe_changed(report, drawn):
    write_html(report, drawn.store.run_folder(RUN) / "report.html")
    later = drawn.copied_run("20261123-0900-drawn", {"training.steps": 500})
    assert recipe_differences(drawn.store, later) == ["training.steps: 500, was 10"]
    (drawn.store.run_folder(later) / "card.json").unlink()
    html = write_index(drawn.store).read_text()
    text = " ".join(Page(html).text.split())
    assert text.index(later) < text.index(RUN)  # the newest first
    assert verdict(comparison(report))[0] in text
    assert "training.steps: 500, was 10" in text
    assert html.count("data:image/webp") >= 6
    assert f'href="{RUN}/report.html"' in html


def test_pages_are_written_while_a_run_goes_on_and_when_it_stops(drawn, monkeypatch):
    monkeypatch.setattr("mep.report.page.live_pages.LOOK_S", 0.01)
    monkeypatch.setattr("os.getpid", lambda: 1)  # the process of the drawn run
    at_work(drawn)
    page = drawn.store.run_folder(RUN) / "report.html"
    with LivePages(drawn.store.root) as pages:
        end = time.monotonic() + 30
        while not (drawn.store.root / "index.html").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert page.exists()
        drawn.end("failed", "no space left")
    assert pages.n_written >= 2
    assert "no space left" in Page(page.read_text()).text


def test_writing_stays_within_a_hundredth_of_the_run(drawn):
    pages = LivePages(drawn.store.root)
    pages.spent_s, pages.last_s = 0.45, 0.1
    assert not pages.affordable  # half a second is free
    pages.began -= 6
    assert pages.affordable  # and 0.06 s more after six seconds

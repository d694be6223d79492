"""The page in a real browser, on a desk and on a phone."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from test_report import HOSTILE, RUN, Drawn, finished

from mep.report import gather, write_html

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDTHS = (1280, 390)

FRAME = '<iframe data-width="{width}" style="border:0;width:{width}px;height:1400px" srcdoc="{page}"></iframe>'
WRAPPER = """<!doctype html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="found"></pre>
<script>
const found = {{}};
for (const frame of document.querySelectorAll("iframe")) frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const box = one => one.getBoundingClientRect();
  const seen = page.querySelectorAll("h2, h3, p, li, td, th, img, .gone, .chart");
  const shown = [...seen].filter(one => box(one).width > 1);
  const scrolls = one => one.closest(".scroll") || one.closest("details");
  const out = shown.filter(one => !scrolls(one) && box(one).right > root.clientWidth + 1);
  found[frame.dataset.width] = {{
    scroll_width: root.scrollWidth,
    sticking_out: out.map(one => one.outerHTML.slice(0, 90)),
    images: page.images.length,
    broken: [...page.images].filter(image => !image.naturalWidth).length,
    headings: [...page.querySelectorAll("h2")].map(one => one.textContent),
    ground: getComputedStyle(page.body).backgroundColor,
    digits: getComputedStyle(page.querySelector("td.n")).fontVariantNumeric,
    curves: page.querySelectorAll("polyline").length,
    scripts: page.scripts.length,
  }};
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""
"""Holds the page in frames of given widths, which a headless window cannot be narrow enough for, and measures it."""


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on PATH; on Debian: apt-get install chromium")
    return found


@pytest.fixture
def browse(chromium, tmp_path):
    """Runs the browser once with a profile of its own; its standard output."""

    def run(*arguments):
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


def measured(browse, page, *options):
    """What the browser finds on a page at each of the widths."""
    text = html.escape(page.read_text(encoding="utf-8"))
    wrapper = page.with_name("wrapper.html")
    frames = "".join(FRAME.format(width=width, page=text) for width in WIDTHS)
    wrapper.write_text(WRAPPER.format(frames=frames), encoding="utf-8")
    dom = browse(*options, "--window-size=1400,1500", "--virtual-time-budget=10000", "--dump-dom", f"file://{wrapper}")
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)[1]))
    return [found[str(width)] for width in WIDTHS]


def written(report, tmp_path):
    page = tmp_path / "report.html"
    write_html(report, page)
    return page


def test_a_finished_run_fits_the_window_and_every_picture_loads(browse, tmp_path):
    for width, found in zip(WIDTHS, measured(browse, written(finished(Drawn(tmp_path)), tmp_path)), strict=True):
        assert found["scroll_width"] == width
        assert found["sticking_out"] == []
        assert (found["broken"], found["scripts"]) == (0, 0)
        assert found["images"] > 20
        assert found["curves"] == 3  # one autoencoder, two arms
        assert found["digits"] == "tabular-nums"
        assert {"Comparison", "Samples", "Clusters", "Training", "Stages"} <= set(found["headings"])


def test_hostile_names_run_nothing_and_do_not_widen_the_page(browse, tmp_path):
    drawn = Drawn(tmp_path, labels=HOSTILE, template="<img src=x onerror=alert(1)>" + "x" * 300 + " {label}")
    for width, found in zip(WIDTHS, measured(browse, written(finished(drawn), tmp_path)), strict=True):
        assert found["scroll_width"] == width
        assert found["sticking_out"] == []
        assert (found["broken"], found["scripts"]) == (0, 0)


def test_a_run_that_stopped_half_way_fits_as_well(browse, tmp_path):
    drawn = Drawn(tmp_path)
    drawn.shared_stages()
    for path in drawn.folder.iterdir():
        path.unlink()
    for width, found in zip(WIDTHS, measured(browse, written(gather(drawn.store, RUN), tmp_path)), strict=True):
        assert found["scroll_width"] == width
        assert found["sticking_out"] == []
        assert "Samples" not in found["headings"]


def test_the_page_follows_the_colour_scheme_of_the_reader(browse, tmp_path):
    page = written(finished(Drawn(tmp_path)), tmp_path)
    schemes = [measured(browse, page, f"--blink-settings=preferredColorScheme={scheme}")[0] for scheme in (1, 0)]
    light, dark = (sum(map(int, re.findall(r"\d+", found["ground"])[:3])) / 3 for found in schemes)
    assert light > 240
    assert dark < 40


def test_the_page_is_painted(browse, tmp_path):
    page, picture = written(finished(Drawn(tmp_path)), tmp_path), tmp_path / "page.png"
    browse(
        "--window-size=1280,1600",
        "--blink-settings=preferredColorScheme=1",
        f"--screenshot={picture}",
        f"file://{page}",
    )
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape == (1600, 1280)
    assert 0.02 < (pixels < 200).mean() < 0.5  # text and pictures on a pale ground

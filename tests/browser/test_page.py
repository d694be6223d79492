"""The page in a real browser, on a desk and on a phone."""

import html
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from devtools import FLAGS
from drawn_run import HOSTILE, RUN, Drawn, finished
from PIL import Image

from mep.report import gather, write_html

WIDTHS = (1280, 390)
FRAME = '<iframe data-width="{width}" style="border:0;width:{width}px;height:1400px" srcdoc="{page}"></iframe>'
WRAPPER = """<!doctype html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="found"></pre>
<script>
const found = {{}};
for (const frame of document.querySelectorAll("iframe")) frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const box = one => one.getBoundingClientRect();
  const seen = page.querySelectorAll("h2, h3, p, li, td, th, img, .gone, .drawn svg");
  const shown = [...seen].filter(one => box(one).width > 1);
  const scrolls = one => one.closest(".scroll") || one.closest("details") || one.closest("nav");
  const out = shown.filter(one => !scrolls(one) && box(one).right > root.clientWidth + 1);
  found[frame.dataset.width] = {{
    scroll_width: root.scrollWidth,
    sticking_out: out.map(one => one.outerHTML.slice(0, 90)),
    images: page.images.length,
    broken: [...page.images].filter(image => !image.naturalWidth).length,
    headings: [...page.querySelectorAll("h2")].map(one => one.textContent),
    ground: getComputedStyle(page.body).backgroundColor,
    digits: getComputedStyle(page.querySelector("td.n")).fontVariantNumeric,
    curves: page.querySelectorAll("[data-chart^=loss] .drawn svg [data-mark=line] path").length,
    scripts: [...page.scripts].filter(one => !one.type).length,
  }};
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""
"""Holds the page in frames of given widths, which a headless window cannot be narrow enough for, and measures it."""


@pytest.fixture
def browse(chromium, tmp_path):
    """Runs the browser once with a profile of its own; its standard output."""

    def run(*arguments):
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        run.said = done.stderr
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
        assert (found["broken"], found["scripts"]) == (0, 6)
        assert found["images"] > 20
        assert found["curves"] == 5  # one autoencoder, two arms, the same on validation images
        assert found["digits"] == "tabular-nums"
        sections = {
            "Comparison",
            "Real and synthetic by label",
            "Samples by prompt",
            "Clusters",
            "Maps",
        }
        assert sections | {"Outliers", "Training"} <= set(found["headings"])


def test_hostile_names_run_nothing_and_do_not_widen_the_page(browse, tmp_path):
    drawn = Drawn(tmp_path, labels=HOSTILE, template="<img src=x onerror=alert(1)>" + "x" * 300 + " {label}")
    for width, found in zip(WIDTHS, measured(browse, written(finished(drawn), tmp_path)), strict=True):
        assert found["scroll_width"] == width
        assert found["sticking_out"] == []
        assert (found["broken"], found["scripts"]) == (0, 6)


def test_a_run_that_stopped_half_way_fits_as_well(browse, tmp_path):
    drawn = Drawn(tmp_path)
    drawn.shared_stages()
    for path in drawn.folder.iterdir():
        path.unlink()
    for width, found in zip(WIDTHS, measured(browse, written(gather(drawn.store, [RUN]), tmp_path)), strict=True):
        assert found["scroll_width"] == width
        assert found["sticking_out"] == []
        assert "Samples by prompt" not in found["headings"]


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


# ---------------------------------------------------------------------------------------------------------------------
# What a reader does with the page


def answered(browse, page, script):
    """What a script finds on the page. It comes with the page's policy taken off, which forbids foreign scripts."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name("asked.html")
    told = (
        f"<script>(async () => {{ {script} }})().then(found => {{ document.title = JSON.stringify(found); }})</script>"
    )
    copy.write_text(text.replace("</body>", told + "</body>"), encoding="utf-8")
    dom = browse("--window-size=1280,1000", "--virtual-time-budget=20000", "--dump-dom", f"file://{copy}")
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]))


def test_the_page_says_nothing_on_the_console_and_asks_for_nothing(browse, tmp_path):
    page = written(finished(Drawn(tmp_path)), tmp_path)
    browse("--enable-logging=stderr", "--dump-dom", f"file://{page}")
    assert "CONSOLE" not in browse.said
    browse("--enable-logging=stderr", "--dump-dom", "data:text/html,<script>console.error(1)</script>")
    assert "CONSOLE" in browse.said  # which is where it would have said it


def test_the_map_shows_the_image_under_the_mouse_and_under_the_arrow_keys(browse, tmp_path):
    script = """
      const map = document.querySelector(".map"), told = () => map.querySelector(".told").textContent;
      const thumb = map.querySelector(".thumb"), svg = map.querySelector("svg"), found = [told()];
      svg.querySelectorAll("circle")[3].dispatchEvent(new MouseEvent("mousemove", {bubbles: true}));
      found.push(told(), thumb.style.backgroundPosition);
      svg.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
      found.push(told());
      return found;"""
    drawn = Drawn(tmp_path, spread=True)
    before, hovered, position, moved = answered(browse, written(finished(drawn), tmp_path), script)
    assert before == "No point is chosen."
    assert hovered == "real 03.png, tumour, cluster 0"
    assert position == "-360px 0px"  # the fourth tile of 120 px
    assert moved.startswith("real ")
    assert moved != hovered


AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
@pytest.mark.parametrize("hostile", [False, True], ids=["plain", "hostile"])
def test_axe_finds_nothing_serious(browse, tmp_path, scheme, hostile):
    if not AXE.exists():
        pytest.skip(f"axe-core is not installed: npm install --prefix {AXE.parents[2]} axe-core")
    names = ["label-only", "mep", f"mep.{'long-' * 11}name"]
    drawn = Drawn(tmp_path, labels=HOSTILE, arms=names) if hostile else Drawn(tmp_path, useful=True)
    if hostile:
        drawn.own_stages(names[2], value=40.0)
    page = written(finished(drawn), tmp_path)
    page.write_text(page.read_text().replace("<details>", "<details open>"))
    script = (
        AXE.read_text()
        + """;
      const found = await axe.run();
      const told = found.violations.map(one => [one.impact, one.id, one.nodes[0].html]);
      return [...told, ["passes", found.passes.length]];"""
    )
    found = answered(lambda *options: browse(f"--blink-settings=preferredColorScheme={scheme}", *options), page, script)
    assert [one for one in found if one[0] in ("serious", "critical")] == []
    assert found[-1][1] > 20

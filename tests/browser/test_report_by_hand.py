"""What a reader does with the report: look at images large, choose and sort metrics, rename arms, save charts."""

import csv
import xml.etree.ElementTree as ET

import pytest
from shown_page import page_in_browser


@pytest.fixture(scope="module")
def browser(chromium, tmp_path_factory):
    with page_in_browser(chromium, tmp_path_factory.mktemp("page")) as shown:
        yield shown


@pytest.fixture
def page(browser):
    opened, path = browser
    for old in opened.downloads.glob("*") if opened.downloads.exists() else ():
        old.unlink()
    opened.open(path)
    opened.run("localStorage.clear()")
    opened.said.clear()
    return opened


def entered(page, field, value):
    """Give a field a value, as a reader would."""
    script = f"(one => {{ one.value = '{value}'; one.dispatchEvent(new Event('input')); }})"
    page.run(f"{script}(document.querySelector('{field}'))")


def large(page):
    """Text of the image that is shown large, and the title above it."""
    return page.run(
        "[lightbox.querySelector('.lightbox-large img')?.alt, lightbox.querySelector('.lightbox-title').textContent]"
    )


def test_an_image_is_seen_large_and_linked_images_are_an_arrow_away(page):
    page.run("document.querySelector('#samples .strips').focus()")
    page.press("Enter")
    assert page.run("lightbox.open")
    first, title = large(page)
    assert first.startswith("real image")
    assert title.startswith("real, training")
    page.press("ArrowRight")
    assert large(page)[0] != first
    page.press("ArrowDown")
    alt, title = large(page)
    assert alt == "generated image 1 of Image of benign"
    assert title.startswith("label-only")
    page.press("ArrowDown")
    assert large(page)[1].startswith("mep")
    page.press("ArrowDown")  # around, and back to the real one
    assert large(page)[0].startswith("real image")
    page.press("Escape")
    assert not page.run("lightbox.open")
    assert page.run("document.activeElement === document.querySelector('#samples .strips')")


def test_the_large_image_is_every_pixel_of_the_small_one(page):
    page.run("document.querySelector('#samples img').click()")
    page.wait_for("lightbox.querySelector('.lightbox-large img').complete")
    found = page.run(
        """(() => {
        const [small, large] = ['#samples img', '.lightbox-large img'].map(one => document.querySelector(one));
        return [large.src === small.src, large.getBoundingClientRect().height > 300, large.naturalWidth]; })()"""
    )
    assert found == [True, True, 40]
    assert "40 × 40 px, lossless" in page.run("lightbox.querySelector('.lightbox-told').textContent")


def test_a_sample_near_a_training_image_is_shown_beside_it_wherever_it_stands(page):
    sample = "generated image 1 of Image of benign"
    page.run(f"[...document.querySelectorAll('#samples img')].find(one => one.alt.startsWith('{sample}')).click()")
    assert page.run("lightbox.querySelectorAll('.lightbox-large img')[1].alt").startswith("real image 00.png")
    assert "nearest training image: distance 0.25" in page.run("lightbox.querySelector('figcaption').textContent")


def test_a_slider_and_brackets_go_through_the_steps_of_the_training(page):
    page.run("document.querySelector('[data-link=steps] img').click()")
    assert page.run("lightbox.querySelector('output').textContent") == "20"
    page.press("]")
    assert "step 40" in large(page)[0]
    entered(page, "#lightbox input", "2")
    assert "step 60" in large(page)[0]
    page.press("ArrowDown")
    assert large(page)[1] == "mep, step 60"


def test_a_heading_sorts_metrics_within_their_group_and_says_so_to_a_screen_reader(page):
    script = """(() => {
      const table = document.querySelector('.scores'), head = table.tHead.rows[0].cells[1], body = table.tBodies[0];
      const name = row => row.cells[0].innerText.trim().split(/\\s/)[0];
      const names = () => [...body.rows].filter(row => !row.hidden).map(name);
      const found = [[names(), head.getAttribute('aria-sort')]];
      for (let turn = 0; turn < 2; turn++) {
        head.querySelector('button.sort').click();
        found.push([names(), head.getAttribute('aria-sort')]);
      }
      return found; })()"""
    before, up, down = page.run(script)
    title, *rows = before[0]
    assert title == "Quality:"
    assert up == [[title, *sorted(rows, key=["kid", "precision", "fd"].index)], "ascending"]  # 0.044, 0.44, 44
    assert down == [[title, *reversed(up[0][1:])], "descending"]


def test_a_metric_is_chosen_and_left_out_in_table_and_chart(page):
    kinds = "['tr[data-metric]:not([hidden])', '.forest-row']"
    shown = f"{kinds}.map(one => document.querySelectorAll(one).length)"
    before = page.run(shown)
    page.run("document.querySelector('[popovertarget=chooser]').click()")
    assert page.run("chooser.matches(':popover-open')")
    page.run("document.querySelector('[data-choose=\"random_conv/fd\"]').click()")
    assert page.run(shown) == [before[0] - 1, before[1] - 1]
    assert "fd" not in page.run(
        "[...document.querySelectorAll('.forest-name')].map(one => one.firstChild.textContent.split(' ')[0])"
    )


def test_an_arm_is_renamed_and_highlighted_everywhere_and_stays_so(page, browser):
    entered(page, "[data-rename=mep]", "morphology")
    names = "[...new Set([...document.querySelectorAll('.arm[data-name=mep]')].map(one => one.textContent))]"
    assert page.run(names) == ["morphology"]
    page.run("document.querySelector('[data-highlight=mep]').click()")
    assert page.run("document.querySelector('#samples .strip[data-arms=\"0 \"]').classList.contains('dimmed')")
    assert not page.run("document.querySelector('#samples .strip[data-arms=\"1 \"]').classList.contains('dimmed')")
    page.open(browser[1])
    assert page.run(names) == ["morphology"]
    page.run("localStorage.clear()")


def test_contents_follow_the_scroll(page):
    page.run("document.getElementById('training').scrollIntoView()")
    page.wait_for("document.querySelector('nav [aria-current]').textContent === 'Training'")
    assert page.run(
        "(box => box.top >= 0 && box.top < innerHeight)(document.querySelector('nav').getBoundingClientRect())"
    )


def saved(page, chart, kind):
    page.run(
        f"[...document.querySelectorAll('#chart-{chart} .tool')].find(one => one.textContent === '{kind}').click()"
    )
    return page.downloaded(kind=kind.lower())


def test_a_chart_is_saved_as_a_drawing_that_stands_alone(page):
    drawing = saved(page, "forest", "SVG").read_text()
    root = ET.fromstring(drawing)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in drawing.replace("--plot-background: var(", "")
    assert float(root.get("height")) > 100


def test_a_chart_is_saved_as_the_numbers_behind_it(page):
    with saved(page, "forest", "CSV").open(encoding="utf-8") as file:
        rows = {(row["metric"], row["arm"]): row for row in csv.DictReader(file)}
    assert float(rows["random_conv/fd", "mep"]["value"]) == 31.2
    assert round(float(rows["random_conv/fd", "mep"]["difference"]), 6) == -12.8


def test_two_curves_are_drawn_as_their_difference(page):
    page.run("document.querySelector('#chart-loss-unet .tool').click()")
    with saved(page, "loss-unet", "CSV").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["curve"] for row in rows} == {"mep"}
    assert all(float(row["loss"]) == 0 for row in rows)  # both arms were drawn with one loss


def test_a_metric_tells_in_a_plain_sentence_what_it_asks_before_its_protocol(page):
    page.run("document.querySelector('button.info').click()")
    text = page.run("document.querySelector(':popover-open').innerText")
    assert text.startswith("How far the generated images lie from real ones")
    assert text.index("better.") < text.index("eval_resolution")


def test_the_page_says_nothing_on_the_console_and_asks_for_nothing(page, browser):
    page.open(browser[1])
    page.run("document.querySelector('#samples img').click()")
    assert page.complaints() == []
    assert page.requests() == [f"file://{browser[1]}"]


def test_no_column_of_the_first_pictures_is_cut_on_a_desk_and_no_interval_is_broken(browser):
    page, path = browser
    page.open(path, width=960)
    page.wait_for("!!document.querySelector('.forest-told span')")
    row = "document.querySelector('.opening .scroll')"
    assert page.run(f"{row}.scrollWidth <= {row}.clientWidth")
    told = page.run("document.querySelector('.forest-told span').textContent")
    assert ",\u00a0" in told
    assert ", " not in told

"""The page and its sections."""

import hashlib
import json
import re
from importlib import resources

from drawn_run import RUN, Drawn, finished
from shown_report import Page, page_of

from mep.artifacts import Assignment
from mep.report import gather
from mep.report.figures import clusters, gallery, strips
from mep.report.page import confusions, sections
from mep.report.page.frame import digest_of
from mep.report.page.payload import payload
from mep.report.page.running import NO_SHEET


def test_the_page_needs_nothing_but_itself(report, tmp_path):
    html = page_of(report, tmp_path)
    page = Page(html)
    assert not {"iframe", "object", "base"} & set(page.tags)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [f"'{digest_of(script)}'" for script in scripts]
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {' '.join(digests)};"
    assert len(scripts) == 6
    assert policy in html
    references = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith(("data:image/webp;base64,", "data:,", "#")) for value in references)
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert re.findall(r"url\((?!data:)", own) == []
    assert "@import" not in own
    assert len(html) < 15e6


def test_every_picture_has_a_text_and_every_heading_cell_a_scope(report, tmp_path):
    html = page_of(report, tmp_path)
    assert html.count("<img") > 20
    assert all(re.search(r'alt="[^"]{5,}"', tag) for tag in re.findall(r"<img[^>]*>", html))
    assert all("scope=" in tag for tag in re.findall(r"<th[ >][^>]*", html))


def test_the_page_shows_every_section_of_a_finished_run(tmp_path):
    text = Page(page_of(finished(Drawn(tmp_path, useful=True)), tmp_path)).text
    for told in (
        "1 of 8 images were removed",
        "std_v < 4",
        "benign, cluster 1: 3 images left out",
        "Image of benign",
        "Cluster 0",
        "4 images, 50 %",
        "Running mean over 2 steps",
        "template: Image of {label} tissue",
        "Can patients be found in it?",
        "by the model's loss",
        "0.61 (0.56 to 0.66)",
        "the model was trained from nothing",
        "What this does not prove",
        RUN,
        "torch",
    ):
        assert told in text


def test_a_run_that_only_reused_does_not_pass_for_a_fast_one(report, drawn, tmp_path):
    assert "and reused work of" not in Page(page_of(report, tmp_path)).text
    with drawn.store.db.write() as db:
        db.execute("UPDATE uses SET how = 'reused'")
        db.execute("UPDATE attempts SET wall_s = 90 WHERE artifact_id LIKE 'training/%'")
    assert ", and reused work of" in Page(page_of(gather(drawn.store, [RUN]), tmp_path)).text


def test_a_full_page_leaves_pictures_out_and_says_so(report, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CLUSTER_BUDGET", 1)
    monkeypatch.setattr(gallery, "PROMPT_BUDGET", 1)
    text = Page(page_of(report, tmp_path)).text
    assert "1 of 2 clusters are shown" in text
    assert "1 of 2 prompts are shown" in text


def test_images_that_were_deleted_since_are_told_in_place(report, drawn, tmp_path):
    before = page_of(report, tmp_path)
    for path in drawn.folder.iterdir():
        path.unlink()
    (drawn.folder / drawn.ids[0]).write_bytes(b"not an image")
    after = page_of(gather(drawn.store, [RUN]), tmp_path)
    assert "deleted since" not in before
    assert after.count("deleted since</span>") > 20
    assert "unreadable now</span>" in after


def test_the_confusion_matrix_has_shares_of_what_was_asked_for(report):
    cluster, label = confusions.confusions(report)[:2]
    assert [(name, shares[:2], n) for name, shares, n in cluster.rows] == [("0", [1, 0], 2), ("1", [0.5, 0.5], 2)]
    assert (cluster.share, cluster.real_share, label.share) == (0.75, 1.0, 1.0)


def test_slides_on_which_samples_are_judged_worse_come_first(report, tmp_path, monkeypatch):
    assert "slide or patient" not in Page(page_of(report, tmp_path)).text  # two images of a slide are too few
    monkeypatch.setattr(confusions, "FEWEST_OF_A_SLIDE", 2)
    (assignment,) = [shared.artifact for shared in report.shared(Assignment)][:1]
    assignment.parts["heldout"][2:, 1] = 0
    found = confusions.confusions(report)[0].slides
    assert [(name, share.value, share.n) for name, share in found] == [("S2", 0, 2), ("S1", 1, 2)]
    text = Page(page_of(report, tmp_path)).text
    assert re.search(r"S2\s*2\s*0 %\s*0 to 84 %\s*S1\s*2\s*100 %\s*16 to 100 %", text)  # 1 - 0.025 ** (1 / 2)


def test_usefulness_is_drawn_over_the_number_of_real_images(tmp_path):
    found = sections.usefulness(finished(Drawn(tmp_path, useful=True)))
    curves = {curve.name: (curve.steps.tolist(), curve.values.tolist()) for curve in found.chart.curves}
    assert found.chart.curves[0].errors.tolist() == [0.02, 0.02]
    assert curves["mep beside real"] == ([0, 100], [0.7, 0.9])
    assert curves["real alone"] == ([50, 100], [0.75, 0.8])
    assert [statement for _, statement in found.statements] == ["Not told apart.", "Not told apart."]


def test_a_near_copy_stands_beside_the_training_image_that_it_is_near_to(report):
    pair = sections.near_copies(report, strips.sample_sets(report))[0][2][0]
    assert [picture.alt.split(",")[0] for picture in pair[:2]] == [
        "generated image 1 of Image of benign",
        "real image 00.png",
    ]
    assert pair[2:] == (0.25, 0.5)


def test_charts_are_drawn_by_the_published_builds_of_their_library():
    folder = resources.files("mep.report.page") / "vendor"
    table = re.findall(r"\| (\S+\.js) .*\| ([0-9a-f]{64}) \|", (folder / "README.md").read_text())
    assert len(table) == 2
    for name, digest in table:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / f"{name.split('.')[0]}.LICENSE").exists()


def test_the_script_finds_the_numbers_that_the_table_shows(report, tmp_path):
    html = page_of(report, tmp_path)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])
    row = next(row for row in data["rows"] if row["id"] == "random_conv/fd")
    assert row["arms"]["mep"]["value"] == 31.2
    assert row["references"]["real training images"]["value"] == 11.5
    assert round(row["differences"]["mep"]["value"], 6) == -12.8
    assert row["differences"]["mep"]["outcome"] == "better"
    assert [curve["name"] for curve in data["curves"][1]["curves"]] == ["label-only", "mep"]


def test_no_name_breaks_out_of_the_data_of_the_script():
    name = "</script><script>alert(1)</script>"
    data = str(payload([name], {name: 0}, NO_SHEET, []))
    assert "<" not in data
    assert json.loads(data)["arms"] == [{"label": name, "style": 0}]


def test_in_the_picture_of_an_interval_the_better_side_is_the_right_one(report, tmp_path):
    html = page_of(report, tmp_path)
    rows = dict(re.findall(r'<tr data-metric="random_conv/(\w+)".*?class="dot" cx="([\d.]+)"', html, re.DOTALL))
    assert float(rows["fd"]) > 66  # mep is better by fd, of which less is better
    assert float(rows["precision"]) < 66  # and worse by precision, of which more is better

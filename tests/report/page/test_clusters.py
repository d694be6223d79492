"""The sheet of clusters: what stands where, and what is said where there is nothing to show."""

import re

import numpy as np
import pytest
from drawn_run import RUN
from study_run import mep, study_run

from mep.artifacts import Clusters
from mep.report import gather
from mep.report.page.clusters import cluster_page

ONE = {"cluster": 0, "name": "gland", "margin": 0.021, "se": 0.004, "next": "stroma", "share": 0.8, "images": 64}
OTHER = {"cluster": 1, "name": "fat", "margin": -0.01, "se": 0.002, "next": "gland", "share": 0.1, "images": 20}
FOUND = [ONE, OTHER]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return study_run(tmp_path_factory.mktemp("sheet"), n_real=8, cluster_names=("gland", "a <b>"))


def test_typical_images_are_the_nearest_and_the_edge_is_the_farthest(drawn, monkeypatch):
    from mep.report.page import clusters as sheet

    monkeypatch.setattr(sheet, "TYPICAL", (2,))
    report = gather(drawn.store, [RUN])
    arm = report.arms[0]
    clusters = arm.get(Clusters)
    shown = sheet._named(clusters, arm.get(sheet.Images), {}, {})[0]
    rows = np.flatnonzero(clusters.labels == 0)
    nearest = [clusters.ids[row] for row in rows[np.argsort(clusters.distances[rows])]]
    assert [re.search(r"patient_\d+\.png", one.alt)[0] for one in (*shown.typical, *shown.edge)] == [
        *nearest[:2],
        nearest[-1],
    ]
    assert (shown.size, shown.share, sum(share for _, share in shown.mix)) == (4, 0.5, 1)


def test_a_name_that_there_is_already_stands_in_its_field_and_is_no_markup(drawn):
    report = gather(drawn.store, [RUN])
    page = cluster_page(report.arms, report.arms[0])
    assert 'value="gland"' in page
    assert 'value="a &lt;b&gt;"' in page


def test_an_arm_that_is_not_there_and_a_run_without_clusters_are_told(drawn, tmp_path):
    done = mep(drawn, "clusters", RUN, "--arm", "mepp")
    assert (done.exit_code, "known: label-only, mep" in done.stderr) == (2, True)
    done = mep(study_run(tmp_path / "without"), "clusters", RUN)
    assert (done.exit_code, "has no clusters to show" in done.stderr) == (2, True)


def test_a_name_that_was_found_is_offered_with_its_margin_and_is_not_typed_for_anybody(drawn):
    drawn = study_run(drawn.folder.parent / "found", n_real=8, cluster_names=("", ""), found=FOUND)
    report = gather(drawn.store, [RUN])
    page = cluster_page(report.arms, report.arms[0])  # the baseline, whose captions name no cluster
    assert re.search(r'id="name-0" data-cluster="0" value="" .*placeholder="gland"', page)
    text = re.sub(r"<[^>]+>", "", page)
    assert "Margin 0.0210 ± 0.00400 before “stroma”; nearest to 80 % of 64 images." in text
    assert "Its nearest term, “gland”, names another cluster; margin −0.0100; nearest to 10 % of 20 images." in text
    assert "keeps the name that was found" in text

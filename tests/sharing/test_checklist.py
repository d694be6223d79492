"""CLAIM 2024, filled in as far as a run goes."""

import csv
import io
import json

from shared_run import mep

from mep.sharing.checklist import UNKNOWN
from mep.sharing.claim import items


def rows(house, *arguments):
    done = mep(house, "checklist", "--format", "json", *arguments)
    assert done.exit_code == 0, done.output
    return {int(row["item"]): row for row in json.loads(done.stdout)}


def test_all_44_items_are_there_in_their_order():
    assert [item.number for item in items()] == list(range(1, 45))


def test_the_provenance_answers_what_it_knows(house):
    found = rows(house)
    assert "Held out: " in found[19]["known"]
    assert "train 8 images; heldout 4 images." in found[19]["known"]
    assert found[20]["known"].startswith("Partitions are disjoint by image only")
    assert "Image of {label} tissue, type {cluster:words}" in found[22]["known"]
    assert "StableDiffusionPipeline, 16 × 16 px" in found[22]["known"]
    assert "10 steps of 16 images" in found[25]["known"]
    assert "Train: benign 4 and tumour 4." in found[36]["known"]
    assert "mep 31.2 ± 2.0; difference of mep −12.8 [−14.8, −10.8]" in found[37]["known"]
    assert "AUROC" in found[38]["known"]


def test_what_it_does_not_know_is_a_gap_with_a_name(house):
    found = rows(house)
    for number in (3, 5, 15, 16, 17, 18, 34, 41, 44):
        assert (found[number]["known"], found[number]["to_write"].startswith(UNKNOWN)) == ("", True)
    assert "ethics approval" in found[7]["to_write"]
    assert all(row["known"] or row["to_write"] for row in found.values())


def test_it_comes_as_markdown_and_for_a_spreadsheet(house, tmp_path):
    shown = mep(house, "checklist").stdout
    assert shown.startswith("# CLAIM 2024, from run ")
    assert f"| 5 | Prospective or retrospective |  | {UNKNOWN}. Which of both. |  |" in shown
    done = mep(house, "checklist", "--format", "csv", "--output", tmp_path / "claim.csv")
    assert done.exit_code == 0, done.output
    table = list(csv.DictReader(io.StringIO((tmp_path / "claim.csv").read_text())))
    assert len(table) == 44
    assert str(house.root) not in shown

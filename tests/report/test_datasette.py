"""The metadata for Datasette describes the provenance as it is."""

import json
from dataclasses import replace

import pytest
from drawn_run import base_halves, scores
from small_data import REPOSITORY

from mep.artifacts.score_row import Estimate
from mep.store.database import Database

MEP = json.loads((REPOSITORY / "mep" / "report" / "datasette.json").read_text())["databases"]["mep"]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return Database(tmp_path_factory.mktemp("datasette") / "mep.db")


def columns_of(database, table):
    return {row["name"] for row in database.query(f"SELECT name FROM pragma_table_info('{table}')")}


@pytest.mark.parametrize("name", MEP["tables"])
def test_every_table_and_column_described_exists(database, name):
    known, told = columns_of(database, name), MEP["tables"][name]
    named = {*told.get("columns", {}), *told.get("facets", []), *told.get("units", {})}
    named |= {told[key] for key in ("label_column", "sort", "sort_desc") if key in told}
    assert known, name
    assert named <= known


def test_every_table_and_view_is_described(database):
    there = {row["name"] for row in database.query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    assert {name for name in there if not name.startswith("sqlite_")} == set(MEP["tables"])


@pytest.mark.parametrize("name", MEP["queries"])
def test_every_query_runs_with_its_parameters(database, name):
    query = MEP["queries"][name]
    sql, parameters = query["sql"], query.get("params", [])
    for parameter in parameters:
        assert f":{parameter}" in sql
        sql = sql.replace(f":{parameter}", "'x'")
    assert database.query(sql) == []


def test_arms_side_by_side_are_ranked_within_one_reference_and_the_right_way_round(drawn):
    drawn.shared_stages()
    for arm, value in (("label-only", 44.0), ("mep", 31.2)):
        measured = scores(value, base_halves())
        train = replace(measured.rows[0], reference="train", estimate=Estimate(value - 40, 2.0))
        drawn.publish(replace(measured, rows=[*measured.rows, train]), [arm])
    sql = MEP["queries"]["compare_arms"]["sql"]

    def ranked(metric):
        rows = drawn.store.db.query(sql.replace(":metric", f"'{metric}'"))
        return [(row["reference"], row["place"], row["arm"]) for row in rows]

    assert ranked("fd") == [
        *[("heldout", 1, "mep"), ("heldout", 2, "label-only")],
        *[("train", 1, "mep"), ("train", 2, "label-only")],
    ]
    assert ranked("precision") == [("heldout", 1, "label-only"), ("heldout", 2, "mep")]  # 0.44 is better than 0.312

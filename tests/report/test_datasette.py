"""The metadata for Datasette describes the provenance as it is."""

import json

import pytest
from small_data import REPOSITORY

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

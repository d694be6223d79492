"""Stores held against each other: what lies in one, and whether it is as if nobody had disturbed its run."""

from mep.runner.verify import check_artifacts, check_database


def contents(store):
    """Every file of the store by its bytes, manifests aside (they hold times)."""
    return {
        path.relative_to(store.root).as_posix(): path.read_bytes()
        for path in sorted((store.root / "store").rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def attempts(store, stage):
    return store.db.query("SELECT * FROM attempts WHERE artifact_id LIKE ? ORDER BY number", f"{stage}/%")


def assert_whole(store, calm):
    """The same bytes as a calm run leaves, all of them known to the database, and no unfinished work."""
    assert contents(store) == contents(calm)
    assert check_artifacts(store) == check_database(store) == []
    assert not any((store.root / "work").glob("*/*"))

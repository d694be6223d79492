"""The texts of a run as they leave: without the names of its real images, slides and patients."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mep.artifacts import Images
from mep.artifacts.base import load_table
from mep.machine.tables import value_text
from mep.store import Store
from mep.store.artifact_rows import kind_of
from mep.store.nameless import without_groups, without_names
from mep.store.scrub import scrub

REFUSED = "(of the real images)"
"""In the place of what a dataset was refused for: it names images that are in no list, and values of their table."""


@dataclass(frozen=True)
class Cleaning:
    """Takes names out of texts.

    text        of any file: images
    message     of what is said to a person: groups as well
    """

    text: Callable[[str], str] = str
    message: Callable[[str], str] = str

    @classmethod
    def of(cls, store: Store, run_id: str, names: list[str]) -> "Cleaning":
        """What takes out the names that a run knows of; names are those of its artifacts."""
        how = "SELECT DISTINCT error FROM attempts WHERE run_id = ? AND artifact_id LIKE 'dataset/%' AND error != ''"
        refusals = [scrub(row["error"]) for row in store.db.query(how, run_id)]
        datasets = [name for name in names if issubclass(kind_of(name.split("/")[0]), Images) and store.has(name)]
        ungrouped = without_groups(_groups(store, datasets))

        def message(text: str) -> str:
            for refusal in refusals:
                text = text.replace(refusal, REFUSED)
            return ungrouped(text)

        return cls(without_names(_images(store, datasets)), message)

    def row(self, row: Mapping[str, Any], messages: Collection[str] | None = None) -> dict[str, Any]:
        """A row with its messages cleaned; every text of it is one where none are named."""
        return {
            name: self.message(value) if isinstance(value, str) and (messages is None or name in messages) else value
            for name, value in row.items()
        }


def _images(store: Store, datasets: list[str]) -> Iterator[str]:
    """The ids of the real images."""
    for name in datasets:
        yield from load_table(store.folder(name) / "images.parquet")["id"]


def _groups(store: Store, datasets: list[str]) -> dict[str, set[str]]:
    """Their slides or patients, by the column that names these."""
    found: dict[str, set[str]] = {}
    for name in datasets:
        column = store.manifest(name)["ingredients"]["config"].get("group")
        if isinstance(column, str):
            values = map(value_text, load_table(store.folder(name) / "metadata.parquet")[column])
            found.setdefault(column, set()).update(value for value in values if value)
    return found

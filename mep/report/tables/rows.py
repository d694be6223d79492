"""The rows of the comparison: arms, repeats that share one, the baseline, and rows of references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from mep.config import canonical_json
from mep.errors import UsageError
from mep.recipe.model import repeat_of
from mep.report.data.arms import Arm, FieldValues, Key, StoredScore
from mep.report.tables.comparison import MISSING
from mep.report.text import plain
from mep.report.wording import MEASURED, REFERENCES


@dataclass(frozen=True, eq=False)
class TableRow:
    """Arms that share a row: one arm, or the repeats of an arm."""

    label: str
    arms: list[Arm]

    def distinct(self, value_of: Mapping[str, JsonValue]) -> list[JsonValue]:
        """The values that its arms have of a field."""
        values = [value_of[arm.label] for arm in self.arms if arm.label in value_of]
        return list({canonical_json(value): value for value in values}.values())

    def scores(self, key: Key) -> dict[int, StoredScore]:
        """The scores of its arms by repeat, or by position where arms of several runs share a number.

        Images that several runs share, since a later one reused them, count once, as the first of them measured them.
        """
        apart: dict[str, Arm] = {}
        for arm in self.arms:
            if (MEASURED, key) in arm.scores:
                apart.setdefault(arm.used.get("generation", arm.scores[MEASURED, key].artifact_id), arm)
        arms = [arm for arm in self.arms if (MEASURED, key) not in arm.scores or arm in apart.values()]
        repeats = [repeat_of(arm.name)[1] for arm in arms]
        numbers = repeats if len(set(repeats)) == len(repeats) else range(1, len(repeats) + 1)
        return {
            number: arm.scores[MEASURED, key]
            for number, arm in zip(numbers, arms, strict=True)
            if (MEASURED, key) in arm.scores
        }


def grouped(arms: Sequence[Arm], fields: FieldValues, by: str) -> list[TableRow]:
    """The rows of the table: arms that share what `by` names are in the same one."""
    several = len({arm.run_id for arm in arms}) > 1
    if by not in ("none", "repeats", "arm") and by not in fields:
        choices = ", ".join(["none", "repeats", "arm", *fields])
        raise UsageError(f"cannot group by '{by}': the arms do not differ in it", hint=f"known: {choices}")

    def label(arm: Arm) -> str:
        if by == "none":
            return arm.label
        if by in ("repeats", "arm"):
            stem = repeat_of(arm.name)[0]
            return f"{arm.run_id}/{stem}" if several and by == "repeats" else stem
        return f"{by}={plain(fields[by].get(arm.label, MISSING))}"

    members: dict[str, list[Arm]] = {}
    for arm in arms:
        members.setdefault(label(arm), []).append(arm)
    return [TableRow(name, sharing) for name, sharing in members.items()]


def baseline_of(rows: list[TableRow], wanted: str | None, *, single: bool) -> TableRow | None:
    """The row that is asked for by its label, the beginning of it, or an arm; of a single run else the first."""
    if wanted is None:
        return next(iter(rows), None) if single else None
    if wanted == "none":
        return None
    matches = [row for row in rows if row.label == wanted]
    matches = matches or [row for row in rows if row.label.startswith(wanted) or wanted in {a.name for a in row.arms}]
    if len(matches) == 1:
        return matches[0]
    problem, choices = ("ambiguous", "candidates") if matches else ("no arm", "arms")
    listing = ", ".join(row.label for row in (matches or rows)[:8])
    raise UsageError(f"'{wanted}' is {problem}", hint=f"{choices}: {listing}")


def state_of(row: TableRow) -> str:
    """The worst state of the members: a failed repeat is not hidden by the others."""
    states = {arm.state for arm in row.arms}
    return next((state for state in ("failed", "interrupted", "running") if state in states), "done")


def fields_of_rows(fields: FieldValues, rows: list[TableRow]) -> FieldValues:
    """Fields by row; a field that differs between the repeats of a row says nothing about the row."""
    of_rows: FieldValues = {}
    all_repeated = all(len(row.arms) > 1 for row in rows)
    for name, value_of in fields.items():
        distinct = {row.label: row.distinct(value_of) for row in rows}
        if all_repeated and any(len(values) > 1 for values in distinct.values()):
            continue
        shown = {label: values[0] if len(values) == 1 else "several" for label, values in distinct.items() if values}
        if len(set(map(canonical_json, shown.values()))) > 1 or len(shown) < len(rows):
            of_rows[name] = shown
    return of_rows


def references_of(arms: Sequence[Arm]) -> dict[str, tuple[Arm, str]]:
    """Title of a row -> the first arm that has it, and its subject; arms with the same numbers share a row."""
    subjects = dict.fromkeys(subject for arm in arms for subject, _ in arm.scores if subject != MEASURED)
    references: dict[str, tuple[Arm, str]] = {}
    for subject in subjects:
        title = REFERENCES.get(subject, plain(subject))
        owners: dict[tuple[tuple[Key, float | None], ...], list[Arm]] = {}
        for arm in arms:
            values = tuple((key, score.value) for (of, key), score in arm.scores.items() if of == subject)
            if values:
                owners.setdefault(values, []).append(arm)
        for members in owners.values():
            name = members[0].label if len(members) == 1 else f"{members[0].label} and {len(members) - 1} more"
            references[title if len(owners) == 1 else f"{title} ({name})"] = members[0], subject
    return references

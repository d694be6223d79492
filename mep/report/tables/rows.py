"""The rows of the comparison: arms, repeats that share one, the baseline, and rows of references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mep.config import canonical_json
from mep.errors import UsageError
from mep.report.data.arms import Arm, Entry, Key
from mep.report.tables.comparison import MISSING
from mep.report.text import plain
from mep.report.wording import MEASURED, REFERENCES


@dataclass(frozen=True, eq=False)
class Group:
    """Arms that share a row: one arm, or the repeats of one."""

    label: str
    arms: list[Arm]

    def entries(self, key: Key) -> dict[int, Entry]:
        """The scores of its arms by repeat, or by place where arms of several runs share a number."""
        repeats = [arm.repeat for arm in self.arms]
        numbers = repeats if len(set(repeats)) == len(repeats) else range(1, len(repeats) + 1)
        return {
            number: arm.entries[MEASURED, key]
            for number, arm in zip(numbers, self.arms, strict=True)
            if (MEASURED, key) in arm.entries
        }


def grouped(arms: Sequence[Arm], fields: dict[str, dict[str, Any]], by: str) -> list[Group]:
    """The rows of the table: arms that share what `by` names are one."""
    several = len({arm.run_id for arm in arms}) > 1
    if by not in ("none", "repeats", "arm") and by not in fields:
        known = ", ".join(["none", "repeats", "arm", *fields])
        raise UsageError(f"cannot group by '{by}': the arms do not differ in it", hint=f"known: {known}")

    def label(arm: Arm) -> str:
        if by == "none":
            return arm.label
        if by == "repeats":
            return f"{arm.run_id}/{arm.stem}" if several else arm.stem
        return arm.stem if by == "arm" else f"{by}={plain(fields[by].get(arm.label, MISSING))}"

    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(label(arm), []).append(arm)
    return [Group(name, members) for name, members in found.items()]


def baseline_of(groups: list[Group], wanted: str | None, *, single: bool) -> Group | None:
    if wanted is None:
        return groups[0] if single and groups else None
    if wanted == "none":
        return None
    found = [group for group in groups if group.label == wanted] or [
        group for group in groups if wanted in (arm.name for arm in group.arms) or group.label.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    listing = ", ".join(group.label for group in (found or groups)[:8])
    raise UsageError(
        f"'{wanted}' is {'ambiguous' if found else 'no arm'}",
        hint=f"{'candidates' if found else 'arms'}: {listing}",
    )


def state_of(group: Group) -> str:
    """The worst state of the members: one failed repeat is not hidden by the others."""
    states = {arm.state for arm in group.arms}
    return next((state for state in ("failed", "interrupted", "running") if state in states), "done")


def fields_of_rows(fields: dict[str, dict[str, Any]], groups: list[Group]) -> dict[str, dict[str, Any]]:
    """Fields by row; one that differs between the repeats of a row says nothing about the row."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in fields.items():
        own = {
            group.label: {
                canonical_json(values[arm.label]): values[arm.label] for arm in group.arms if arm.label in values
            }
            for group in groups
        }
        if any(len(each) > 1 for each in own.values()) and all(len(group.arms) > 1 for group in groups):
            continue
        shown = {
            label: next(iter(each.values())) if len(each) == 1 else "several" for label, each in own.items() if each
        }
        if len({canonical_json(value) for value in shown.values()}) > 1 or len(shown) < len(groups):
            found[name] = shown
    return found


def references_of(arms: Sequence[Arm]) -> dict[str, tuple[Arm, str]]:
    """Title of a row -> the first arm that has it, and its subject: one row for all arms with the same numbers."""
    subjects = dict.fromkeys(subject for arm in arms for subject, _ in arm.entries if subject != MEASURED)
    found: dict[str, tuple[Arm, str]] = {}
    for subject in subjects:
        title = REFERENCES.get(subject, plain(subject))
        owners: dict[tuple[Any, ...], list[Arm]] = {}
        for arm in arms:
            own = tuple((key, one.value) for (of, key), one in arm.entries.items() if of == subject)
            if own:
                owners.setdefault(own, []).append(arm)
        for members in owners.values():
            own_name = members[0].label if len(members) == 1 else f"{members[0].label} and {len(members) - 1} more"
            found[title if len(owners) == 1 else f"{title} ({own_name})"] = members[0], subject
    return found

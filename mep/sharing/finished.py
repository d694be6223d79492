"""A finished run, and the arm of it that is shared."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mep.errors import UsageError
from mep.recipe.controls import is_control
from mep.recipe.model import repeat_of
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import RunReport, gather
from mep.report.tables.compare import comparison as compare
from mep.report.tables.comparison import Comparison
from mep.report.tables.formats import as_json
from mep.report.tables.markdown import as_markdown
from mep.report.tables.verdict import headline, leading_arm, verdict
from mep.report.tables.view import View, select
from mep.store import Store
from mep.store.scrub import scrub


@dataclass(frozen=True, eq=False)
class Finished:
    """A run that came to its end, the arm that is shared, and what the numbers say of all its arms."""

    store: Store
    run: RunReport
    arm: OpenArm
    comparison: Comparison

    @property
    def title(self) -> str:
        return f"{self.run.recipe.name}, {self.arm.name}"

    @property
    def sentences(self) -> list[str]:
        return verdict(self.comparison)

    @property
    def locked(self) -> dict[str, Any]:
        """Versions, packages and the content of inputs, as the lock has them."""
        return dict(self.run.recipe.locked or {})

    @property
    def label(self) -> str:
        """What the comparison calls the arm: trainings of one arm are one."""
        member = f"{self.run.run_id}/{self.arm.name}"
        return next((label for label, arms in self.comparison.members.items() if member in arms), self.arm.label)

    @cached_property
    def table(self) -> str:
        """Verdict and first numbers as Markdown, without heading and notes: no folder of this machine is in it."""
        _, *parts = as_markdown(select(self.comparison, View())).strip().split("\n\n")
        return scrub("\n\n".join(part for part in parts if not part.startswith("- ")))

    @cached_property
    def without_prompts(self) -> Comparison:
        """The comparison but for numbers by prompt: the name of a prompt may hold words of the dataset."""
        metrics = [metric for metric in self.comparison.metrics if not metric.group.startswith("prompt")]
        return replace(self.comparison, metrics=metrics)

    @cached_property
    def results(self) -> str:
        """Verdict and numbers as JSON."""
        return scrub(as_json(self.without_prompts)) + "\n"

    @cached_property
    def lock(self) -> str:
        """The recipe with every value, version and digest: paths are cut to their last part."""
        path = self.store.run_folder(self.run.run_id) / "recipe.lock.yaml"
        return scrub(path.read_text(encoding="utf-8"))


def finished(store: Store, run_id: str, arm: str | None = None) -> Finished:
    """A finished run and one of its arms; without a name the arm that the verdict speaks of.

    UsageError      the run has not come to its end, or has no such arm
    """
    run = gather(store, [run_id]).runs[0]
    if run.state != "done":
        hint = f"wait for it: mep watch {run_id}" if run.state == "running" else f"carry it on: mep resume {run_id}"
        raise UsageError(f"run {run_id} is {run.state}: what is shared comes from a finished run", hint=hint)
    named = {one.name: one for one in run.arms}
    if arm is not None and arm not in named:
        raise UsageError(f"run {run_id} has no arm '{arm}'", hint=f"known: {', '.join(named)}")
    comparison = compare(store, [run_id])
    return Finished(store, run, named[arm or _spoken_of(run, comparison)], comparison)


def _spoken_of(run: RunReport, comparison: Comparison) -> str:
    """The arm that the verdict holds against the baseline, its first training; the first drawn here where none is."""
    metric = headline(comparison)
    leading = leading_arm(comparison, metric) if metric else None
    of_that_name = [arm.name for arm in run.arms if leading in (arm.label, repeat_of(arm.name)[0])]
    own = [arm.name for arm in run.arms if arm.elsewhere != "images" and not is_control(arm.name)]
    return [*of_that_name, *own, run.arms[0].name][0]

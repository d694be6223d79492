"""What a probe has to tell of an image: which label it has, or for each finding whether it is there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Images
from mep.artifacts.score_row import JsonObject

ALONE = "all"
"""Group of the rows that tell of synthetic images alone; the other groups are mixtures with real ones."""


@dataclass(frozen=True, eq=False)
class Task:
    """One thing that a probe is trained to tell.

    finding     empty where the task is to name the label
    labels      int64 (n,)  of every image of the dataset, 0 to k - 1
    names       of the k classes
    """

    finding: str
    labels: NDArray[np.int64]
    names: list[str]

    def called(self, what: str) -> str:
        """The name of a training for this task; the same where there is no other."""
        return f"{self.finding}: {what}" if self.finding else what

    def group(self, group: str) -> str:
        """Group of the rows of a mixture: that of the finding, where there are several tasks."""
        if not self.finding:
            return group
        return f"label={self.finding}" + ("" if group == ALONE else f", {group}")

    def of_samples(self, images: Images, listed: Sequence[JsonObject]) -> NDArray[np.int64]:
        """int64 (m,) class of every sample by the label of its caption, -1 where that names none."""
        findings = images.findings
        if not self.finding:
            number = {name: place for place, name in enumerate(self.names)}
        else:
            number = {label: int(self.finding in shown) for label, shown in findings.of_label.items()}
        return np.array([number.get(row["label"], -1) for row in listed], dtype=np.int64)


def tasks_of(images: Images) -> list[Task]:
    """One task, or one for each finding where images may show several."""
    if not images.findings:
        return [Task("", images.labels, images.label_names)]
    shown = images.shown.astype(np.int64)
    names = images.findings.names
    return [Task(name, shown[:, place], [f"no {name}", name]) for place, name in enumerate(names)]

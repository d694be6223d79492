"""What a label says where an image may show several findings at once, or none."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mep.machine.files import read_json, write_json

FILE = "findings.json"


@dataclass(frozen=True)
class Findings:
    """The findings behind each label; empty where every image has one label, which is then all that it shows.

    names       in the order in which labels name them
    of_label    label, such as `effusion and mass` -> its findings; none for the label of images without one
    """

    names: list[str] = field(default_factory=list)
    of_label: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def none(self) -> str:
        """The label of images without a finding; empty where every image has one."""
        return next((label for label, shown in self.of_label.items() if not shown), "")

    def of(self, label: str | None) -> list[str]:
        """The parts that images of a label belong to: its findings, or the label itself where it has none."""
        if label is None:
            return []
        return self.of_label.get(label) or [label]

    def shown(self, label_names: Sequence[str]) -> NDArray[np.bool_]:
        """bool (labels, findings), True where a label says that a finding is there."""
        return np.array([[name in self.of_label[label] for name in self.names] for label in label_names], dtype=bool)


def save_findings(folder: Path, findings: Findings) -> None:
    """Nothing is written of a dataset with one label an image."""
    if findings:
        write_json(folder / FILE, asdict(findings))


def load_findings(folder: Path) -> Findings:
    return Findings(**read_json(folder / FILE)) if (folder / FILE).exists() else Findings()


def joined(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last

"""What scores see of known harm to real images."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Artifact, load_table, save_table
from mep.config import Config
from mep.machine.files import read_json, write_json

POWER = 0.8
"""A dose is noticed where a two-sided test at 5 % finds it in so many of the experiments."""
NOTICED = 2.80
"""The signal from which on it does: the normal quantiles of 0.975 and of 0.8, added."""
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Effect:
    """What one dose of one kind of harm does to one metric.

    better      which way the metric calls images better: lower, higher
    dose        in the unit of its kind of harm, see `mep/imaging/degradations.py`
    effect      the metric of the harmed images minus that of the same images as they were
    noise       standard deviation of the difference of two sets of as many untouched real images, above 0
    spread      the same of a harmed and an untouched set, with what is not certain about the effect; above 0
    """

    extractor: str
    metric: str
    better: Literal["lower", "higher"]
    harm: str
    dose: float
    effect: float
    noise: float
    spread: float

    @property
    def signal(self) -> float:
        """The effect in units of the noise, at least 0; where a harmed set varies more than untouched ones, less."""
        return max(Z_95 + (abs(self.effect) - Z_95 * self.noise) / self.spread, 0.0)

    @property
    def power(self) -> float:
        """Chance that a two-sided test at 5 % of one harmed against one untouched set finds the effect."""
        return math.erfc((Z_95 - self.signal) / math.sqrt(2)) / 2

    @property
    def noticed(self) -> bool:
        return self.power >= POWER

    @property
    def misled(self) -> bool:
        """Whether the metric calls the harmed images the better ones."""
        return self.noticed and (self.effect < 0) == (self.better == "lower")


@dataclass(frozen=True, eq=False)
class Calibration(Artifact):
    """What every metric of every extractor sees of harmed real images, at the size of sets that the run compares.

    effects     empty where nothing could be measured; `left_out` says why
    n           images of each set
    size_px     side to which images were brought before they were harmed
    left_out    sentences: which harm, which metrics, which sizes, and why
    examples    kind of harm -> uint8 (k, h, w, 3): one image as it is and at every dose
    """

    effects: list[Effect]
    n: int
    size_px: int
    left_out: list[str] = field(default_factory=list)
    examples: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        from PIL import Image

        rows = [asdict(effect) for effect in self.effects]
        if rows:
            save_table(folder / "effects.parquet", {name: [row[name] for row in rows] for name in rows[0]})
        about = {"n": self.n, "size_px": self.size_px, "left_out": self.left_out, "examples": list(self.examples)}
        write_json(folder / "calibration.json", about)
        for name, pictures in self.examples.items():
            Image.fromarray(np.concatenate(list(pictures), axis=1)).save(folder / f"{name.replace(' ', '-')}.png")

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        from PIL import Image

        about, table, examples = read_json(folder / "calibration.json"), folder / "effects.parquet", {}
        columns = load_table(table) if table.exists() else {}
        effects = [Effect(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
        for name in about["examples"]:
            with Image.open(folder / f"{name.replace(' ', '-')}.png") as strip:
                pixels = np.asarray(strip.convert("RGB"))
            examples[name] = np.stack(np.split(pixels, pixels.shape[1] // pixels.shape[0], axis=1))
        return cls(effects, about["n"], about["size_px"], about["left_out"], examples)

    def facts(self) -> Mapping[str, object]:
        return {"images": self.n, "effects": len(self.effects)} if self.effects else {"skipped": self.left_out[0]}

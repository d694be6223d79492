"""No utility is measured."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.probes import Probe


class NoProbe(Probe):
    """Nothing is trained: the stage costs nothing and gives no number."""

    kind: Literal["none"]

    sees: ClassVar[Literal["features", "pixels", "nothing"]] = "nothing"

"""What the bases share whose weights are drawn from the recipe's seed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mep.config import Config
from mep.diffusion.pipelines import forget_places

if TYPE_CHECKING:
    from mep.machine.work import Work


class TextSizes(Config):
    """A text encoder with random weights; it stays frozen and gives every caption a fixed, distinct code."""

    width: int = Field(64, ge=16, le=1024)
    """Channels."""
    layers: int = Field(2, ge=1, le=24)
    """Transformer blocks."""
    tokens: int = Field(32, ge=8, le=77)
    """Longest caption in tokens; Stable Diffusion has 77."""


def save_base(pipeline: Any, losses: Path | None, work: Work) -> dict[str, str]:
    """Put a pipeline where `Base.build` has to, with the losses of its autoencoder; it comes from nowhere."""
    pipeline.save_pretrained(work.out / "pipeline", safe_serialization=True)
    forget_places(work.out / "pipeline")
    if losses:
        shutil.copyfile(losses, work.out / "losses.jsonl")
    return {}

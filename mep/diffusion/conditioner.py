"""Cues to tokens, which a model reads after those of the caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mep.diffusion.cues import FOLDER, NONE, Cues
from mep.machine.files import read_json, write_json

if TYPE_CHECKING:
    from mep.artifacts import Prompt

FACTS, WEIGHTS = "condition.json", "conditioner.safetensors"


class Conditioner(nn.Module):
    """A few tokens of the caption's width for each cue: a linear projection of a vector, or a learned table of classes,
    and layer normalisation (as IP-Adapter projects images: Ye et al. 2023, arXiv:2308.06721).

    n           numbers in an input, or classes, the one for no cue among them
    """

    def __init__(self, n: int, *, of_classes: bool, tokens: int, width: int):
        super().__init__()
        self.shape = tokens, width
        self.first: nn.Module = (nn.Embedding if of_classes else nn.Linear)(n, tokens * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, cues: Tensor) -> Tensor:
        """Inputs as `Cues.inputs` has them, (b, d) or (b,) -> float (b, tokens, width)."""
        tokens: Tensor = self.norm(self.first(cues).unflatten(-1, self.shape))
        return tokens

    def save(self, cues: Cues, kind: str, folder: Path) -> None:
        """Write the weights, and what may be drawn with."""
        cues.save(folder)
        tokens, width = self.shape
        save_file({name: value.contiguous().cpu() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        write_json(folder / FACTS, {"kind": kind, "tokens": tokens, "width": width, "inputs": cues.width})


@dataclass(frozen=True)
class Beside:
    """What a trained model is told beside captions: its conditioner, and the cues that it draws with."""

    conditioner: Conditioner
    cues: Cues
    device: str

    @classmethod
    def load(cls, folder: Path, device: str, vectors: Literal["trained", "centroid"] = "trained") -> Beside | None:
        """That of the folder `condition` of a model; None where the model knows captions alone."""
        if not (folder / FACTS).is_file():
            return None
        facts, cues = read_json(folder / FACTS), Cues.load(folder)
        is_class = cues.vectors is None
        conditioner = Conditioner(facts["inputs"], of_classes=is_class, tokens=facts["tokens"], width=facts["width"])
        conditioner.load_state_dict(load_file(folder / WEIGHTS))
        cues = cues.merged() if vectors == "centroid" and not is_class else cues
        return cls(conditioner.eval().to(device), cues, device)

    @torch.inference_mode()
    def tokens(self, asked: Sequence[tuple[Prompt, int]]) -> Tensor:
        """Tokens float32 (b, tokens, width) for prompts and the seeds of their images; each alone, so that none depends
        on its neighbours."""
        return torch.cat([self._tokens(self.cues.pick(one.label, one.cluster, seed)) for one, seed in asked])

    @torch.inference_mode()
    def nothing(self, n: int) -> Tensor:
        """The same of no cue, n times: what the empty caption goes with."""
        return self._tokens(NONE).expand(n, -1, -1)

    def _tokens(self, row: int) -> Tensor:
        return self.tokens_of(self.cues.inputs(np.array([row])))

    @torch.inference_mode()
    def tokens_of(self, inputs: NDArray[Any]) -> Tensor:
        """The same of inputs as `Cues.inputs` has them, (b, ...)."""
        each = [self.conditioner(torch.from_numpy(inputs[row : row + 1]).to(self.device)) for row in range(len(inputs))]
        return torch.cat(each)


def prompt_arguments(  # noqa: PLR0913  (what a caller may say of an image)
    pipeline: Any,
    folder: str | Path,
    caption: str,
    *,
    label: str | None = None,
    cluster: int | None = None,
    seed: int = 0,
    vectors: Literal["trained", "centroid"] = "trained",
) -> dict[str, Any]:
    """Arguments of a pipeline's call in the place of a prompt: the caption, and a cue of its label and cluster.

    folder      the model's, with `condition/` in it, or that one itself; or the name of the model on the hub
    seed        which vector of that label and cluster
    """
    from mep.artifacts import Prompt
    from mep.diffusion.families import families

    family = families()[type(pipeline).__name__]
    core = getattr(pipeline, family.core)
    beside = Beside.load(_condition_in(folder), str(core.device), vectors)
    if beside is None:
        raise FileNotFoundError(f"{folder} holds no {FOLDER}/{FACTS}")
    side = core.config.sample_size * pipeline.vae_scale_factor
    with torch.inference_mode():
        captions, empty = (family.encode(pipeline, [text], side) for text in (caption, ""))
    captions = family.with_tokens(captions, beside.tokens([(Prompt("", caption, label, cluster, 0), seed)]))
    empty = family.with_tokens(empty, beside.nothing(1))
    cast = [{name: values.to(core.dtype) for name, values in said.items()} for said in (captions, empty)]
    return family.arguments(core, *cast) | family.call


def _condition_in(place: str | Path) -> Path:
    if not Path(place).is_dir():
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(str(place), allow_patterns=f"{FOLDER}/*")) / FOLDER
    return Path(place) / FOLDER if (Path(place) / FOLDER).is_dir() else Path(place)

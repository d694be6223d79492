"""A small network trained on pixels, or a pretrained one fine-tuned as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.artifacts.score_row import JsonObject
from mep.config import digest
from mep.diffusion.image_order import ImageOrder
from mep.diffusion.loop import LoopSettings, optimise
from mep.imaging.pixels import SYMMETRIES, symmetry
from mep.machine.hub import ModelReference
from mep.machine.libraries import prepare_libraries
from mep.methods.probes import Examples, Fitted, Probe
from mep.statistics.classification import auroc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.machine.work import Work

LOOKS = 10
"""Times that a training is judged on the validation images; its best state is kept."""

FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Means and deviations of the channels that pretrained classifiers are usually trained with."""


class Cnn(Probe):
    """All weights are trained on pixels: a residual network of 0.3 million weights from scratch, or a pretrained one.

    The number of steps is the same whatever the probe is trained on, so that more images are not more training, and
    classes are drawn equally often. Of ten looks at the validation images the one with the highest AUROC is kept.
    """

    kind: Literal["cnn"]
    model: ModelReference | None = None
    """Image classifier of the transformers library to fine-tune, such as microsoft/resnet-18 or
    facebook/deit-tiny-patch16-224. Default: a small residual network from random weights."""
    steps: int = Field(1000, ge=1, le=1_000_000_000)
    """Optimizer steps of every training."""
    batch_size: int = Field(64, ge=2, le=4096)
    """Images in a step."""
    learning_rate: float = Field(1e-3, gt=0, le=1)
    """Of AdamW (Loshchilov & Hutter 2019) at its highest; it rises for a tenth of the steps and falls as a cosine."""
    weight_decay: float = Field(0.05, ge=0, le=1)
    """Of AdamW."""
    symmetries: Literal["none", "mirror", "square"] = "none"
    """Random symmetries of the training images: a chest has a left and a right, tissue has eight of them."""

    sees: ClassVar[Literal["features", "pixels", "nothing"]] = "pixels"
    draws: ClassVar[bool] = True

    def fit(self, train: Examples, validation: Examples, n_classes: int, *, seed: int, work: Work) -> Fitted:
        import torch

        seeded = replace(work, seed=seed)
        network = _Network(self, n_classes, seed, work)
        optimizer = torch.optim.AdamW(network.model.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        best = _Best()
        order = ImageOrder(seeded, 1 / np.bincount(train.labels, minlength=n_classes)[train.labels])
        looks = {round(self.steps * look / LOOKS) for look in range(1, LOOKS + 1)}

        def step(number: int) -> JsonObject:
            rows = order(number, self.batch_size)
            pixels = self._augmented(train.read(train.rows[rows]), seeded.rng("symmetry", number))
            logits = network.logits(pixels, training=True)
            target = torch.from_numpy(train.labels[rows]).to(work.device)
            loss = torch.nn.functional.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if number + 1 in looks:
                probabilities = network.probabilities(validation)
                best.offer(
                    number + 1,
                    float(auroc(probabilities, validation.labels, np.ones((1, len(probabilities))))[0]),
                    network.model,
                )
            return {"loss": loss.detach()}

        name = f"probe-{digest([seed, len(train)])[:16]}"
        state = {"model": network.model, "adam": optimizer, "rate": schedule, "best": best}
        optimise(seeded, LoopSettings(name, self.steps), step, state)
        network.model.load_state_dict(best.weights)
        return Fitted(network.probabilities, {"step": best.step, "validation_auroc": best.area})

    def _rate(self, step: int) -> float:
        warm = max(self.steps // 10, 1)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(self.steps - warm, 1))))

    def _augmented(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        symmetries = SYMMETRIES[self.symmetries]
        if len(symmetries) == 1:
            return pixels
        return np.stack([symmetry(image, int(rng.choice(symmetries))) for image in pixels])


class _Best:
    """The weights of the best look so far; part of the checkpoint."""

    def __init__(self) -> None:
        self.area, self.step, self.weights = -1.0, 0, JsonObject()

    def offer(self, step: int, area: float, model: Any) -> None:
        if area > self.area:
            weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
            self.area, self.step, self.weights = area, step, weights

    def state_dict(self) -> JsonObject:
        return vars(self).copy()

    def load_state_dict(self, state: JsonObject) -> None:
        vars(self).update(state)


class _Network:
    """A classifier and the way from uint8 pixels to its input."""

    def __init__(self, probe: Cnn, n_classes: int, seed: int, work: Work):
        prepare_libraries()
        import torch

        self.device, self.batch_size, self.side = work.device, work.machine.batch_size, 0
        with torch.random.fork_rng(devices=[]):  # the weights of a training depend on its seed alone
            torch.manual_seed(seed)
            if probe.model is None:
                self.mean, self.deviation, self.model = (0.5,) * 3, (0.25,) * 3, _from_scratch(n_classes)
            else:
                self.mean, self.deviation = IMAGENET
                self.model, self.side = _pretrained(probe.model, n_classes)
        self.model.to(self.device)

    def logits(self, pixels: NDArray[np.uint8], *, training: bool) -> Any:
        """(b, n_classes), in float32 on any device."""
        import torch
        from torch.nn import functional

        self.model.train(training)
        mean, deviation = (
            torch.tensor(channels, device=self.device).view(1, 3, 1, 1) for channels in (self.mean, self.deviation)
        )
        inputs = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2).float() / 255
        if self.side and inputs.shape[-1] != self.side:
            inputs = functional.interpolate(inputs, (self.side, self.side), mode="bicubic", antialias=True).clamp(0, 1)
        return self.model(pixel_values=(inputs - mean) / deviation).logits

    def probabilities(self, examples: Examples) -> NDArray[np.float64]:
        """float64 (n, n_classes)"""
        import torch

        batches = []
        with torch.inference_mode():
            for start in range(0, len(examples), self.batch_size):
                pixels = examples.read(examples.rows[start : start + self.batch_size])
                batches.append(self.logits(pixels, training=False).double().softmax(1).cpu().numpy())
        return np.concatenate(batches)


def _from_scratch(n_classes: int) -> Any:
    """Three stages of one residual block each (He et al. 2016, arXiv:1512.03385)."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=32, hidden_sizes=[32, 64, 128], depths=[1, 1, 1], layer_type="basic")
    config.num_labels = n_classes
    return ResNetForImageClassification(config)


def _pretrained(reference: ModelReference, n_classes: int) -> tuple[Any, int]:
    """A classifier with a new last layer, and the side of the images that it wants; 0 for any."""
    import torch
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(
        reference.folder(FILES),
        num_labels=n_classes,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        dtype=torch.float32,
    )
    side = getattr(model.config, "image_size", 0) or 0
    return model, int(side[0] if isinstance(side, list | tuple) else side)

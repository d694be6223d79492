"""One optimizer step: the global batch in as many parts as memory wants, on one process or many."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mep.diffusion.denoiser import Denoiser
from mep.diffusion.ema import Average
from mep.diffusion.objective import denoising_errors, loss_weights, target_of
from mep.stages.training.batches import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mep.machine.work import Work
    from mep.stages.training.config import TrainingConfig

LOG = logging.getLogger(__name__)


class Step:
    """Does the step of a number; gives loss, gradient norm and learning rate.

    The gradients of all parts and processes add up to that of the mean over the global batch, however it is cut.
    """

    def __init__(
        self,
        config: TrainingConfig,
        denoiser: Denoiser,
        noise_scheduler: Any,
        batches: Callable[..., Batch],
        optimizer: Any,
        schedule: Any,
        average: Average,
        accelerator: Accelerator,
        work: Work,
        sharded: bool,
    ):
        self.config, self.noise_scheduler, self.batches, self.work = config, noise_scheduler, batches, work
        self.optimizer, self.schedule, self.average = optimizer, schedule, average
        self.accelerator, self.n, self.rank = accelerator, accelerator.num_processes, accelerator.process_index
        self.parameters = list(denoiser.trained().values())
        self.sharded = sharded
        copies = self.n > 1 and not self.sharded
        self.model: Any = accelerator.prepare_model(denoiser, device_placement=False) if copies else denoiser
        self.share = share_of(config.global_batch_size, self.rank, self.n)
        self.largest_share = -(-config.global_batch_size // self.n)
        self.micro = MicroBatch(min(work.machine.micro_batch or 2**31, self.largest_share))
        self.scaler = torch.amp.GradScaler(work.device.split(":")[0], enabled=config.precision == "fp16")

    def __call__(self, number: int) -> dict[str, Any]:
        config = self.config
        # dropout layers draw from torch's own generator
        torch.manual_seed(self.work.seed_for("dropout", number, self.rank))
        batch = self.batches(number, self.noise_scheduler.config.num_train_timesteps, self.share)
        loss = self._backward(batch)
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
        norm = norm.full_tensor() if self.sharded else norm  # type: ignore[attr-defined]
        learning_rate = self.optimizer.param_groups[0]["lr"]
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.step()
        return {"loss": loss, "gradient_norm": norm, "learning_rate": learning_rate}

    def _backward(self, batch: Batch) -> Tensor:
        """Sum up the gradients of the global batch; its loss. Memory that runs out halves the parts, and starts over:
        nothing in a batch is drawn here."""
        while True:
            try:
                return self._accumulate(batch)
            except RuntimeError as error:
                self._make_smaller(error)

    def _accumulate(self, batch: Batch) -> Tensor:
        total = torch.zeros((), device=self.work.device)
        passes = self._passes(len(batch))
        for number, (images, weight) in enumerate(passes, 1):
            part = batch.part(images, self.work.device)
            with self._exchanging(number == len(passes)):
                errors = weight * self.errors(part).sum() / self.config.global_batch_size
                self.accelerator.backward(self.scaler.scale(errors * self.n))  # processes average their gradients
            total += errors.detach()
        return self.accelerator.reduce(total, "sum") if self.n > 1 else total

    def _passes(self, n: int) -> list[tuple[slice, float]]:
        """What to take of a batch of n images pass by pass, and how much it counts."""
        if not self.sharded:
            return [(slice(start, start + self.micro.size), 1.0) for start in range(0, n, self.micro.size)]
        # all processes put the model together in every pass, so that each makes as many, perhaps one for nothing
        n_passes = -(-self.largest_share // self.micro.size)
        cuts = [share_of(n, number, n_passes) for number in range(n_passes)]
        return [(cut, 1.0) if cut.stop > cut.start else (slice(0, 1), 0.0) for cut in cuts]

    def _exchanging(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Processes exchange gradients once a step, with the last part."""
        if self.sharded:
            self.model.set_requires_gradient_sync(last)
        elif self.n > 1 and not last:
            return self.accelerator.no_sync(self.model)
        return contextlib.nullcontext()

    def errors(self, batch: Batch) -> Tensor:
        """Weighted squared error of each image, float32 (b,)."""
        scheduler, low = self.noise_scheduler, {"bf16": torch.bfloat16, "fp16": torch.float16}
        noisy = scheduler.add_noise(batch.clean, batch.added, batch.timesteps)
        dtype = low.get(self.config.precision)
        with torch.autocast(noisy.device.type, dtype, enabled=dtype is not None and self.config.weights == "fp32"):
            prediction = self.model(noisy, batch.timesteps, batch.captions)
        target = target_of(scheduler, batch.clean, batch.noise, batch.timesteps)
        weights = loss_weights(scheduler, batch.timesteps, self.config.snr_gamma)
        return denoising_errors(prediction, target) * weights

    def _make_smaller(self, error: RuntimeError) -> None:
        from accelerate.utils.memory import should_reduce_batch_size

        # With several processes one of them may be waiting for the others, who cannot be told: it has to stop.
        if not should_reduce_batch_size(error) or self.micro.size == 1 or self.n > 1:
            if should_reduce_batch_size(error):
                error.add_note("set machine.micro_batch to fewer images, or machine.gradient_checkpointing to true")
            raise error
        self.optimizer.zero_grad(set_to_none=True)
        self.micro.size = (self.micro.size + 1) // 2
        LOG.warning("out of memory: going on with micro-batches of %d images", self.micro.size)
        if self.work.device.startswith("cuda"):
            torch.cuda.empty_cache()


class MicroBatch:
    """How many images fit into memory; part of a checkpoint, so that a resumed run adds up in the same order."""

    def __init__(self, size: int):
        self.size = size

    def state_dict(self) -> dict[str, Any]:
        return {"size": self.size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.size = min(self.size, state["size"])


def share_of(size: int, rank: int, n: int) -> slice:
    """The part of a global batch that one of n processes takes; sizes differ by at most one image."""
    return slice(size * rank // n, size * (rank + 1) // n)

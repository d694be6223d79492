"""One optimizer step: the global batch in as many parts as memory allows, on one process or many."""

import contextlib
import logging
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from mep.diffusion.checkpoints import State
from mep.diffusion.loop import Scalars
from mep.diffusion.objective import denoising_errors
from mep.stages.training.ahead import BatchesAhead
from mep.stages.training.batches import Batch, Batches
from mep.stages.training.model import TrainedModel
from mep.stages.training.optimizers import rate_of

LOG = logging.getLogger(__name__)


@dataclass
class Step:
    """Does the step of a number: gradients of all parts and processes add up to that of the mean over the batch."""

    model: TrainedModel
    batches: Batches

    def __post_init__(self) -> None:
        self.config, self.work, self.group = self.batches.encoded.config, self.batches.encoded.work, self.model.group
        size = self.config.global_batch_size
        self.parameters = list(self.model.denoiser.trained().values())
        self.module: nn.Module = self.model.denoiser
        if self.group.n > 1 and not self.group.sharded:
            self.module = self.group.accelerator.prepare_model(self.module, device_placement=False)
        self.share = share_of(size, self.group.rank, self.group.n)
        self.largest_share = -(-size // self.group.n)
        self.ahead = BatchesAhead(self.batches, self.share, self.work.device, self.config.steps)
        self.micro_batch = min(self.work.machine.micro_batch or 2**31, self.largest_share)
        self.scaler = torch.amp.GradScaler(self.work.device.split(":")[0], enabled=self.config.precision == "fp16")

    def state_dict(self) -> State:
        """How many images fit into memory: a resumed run then adds up in the same order."""
        return {"size": self.micro_batch}

    def load_state_dict(self, state: State) -> None:
        self.micro_batch = min(self.micro_batch, state["size"])

    def __call__(self, number: int) -> Scalars:
        model, optimizer = self.model, self.model.optimizer
        # dropout layers draw from torch's own generator
        torch.manual_seed(self.work.seed_for("dropout", number, self.group.rank))
        loss = self._backward(self.ahead(number))
        self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        norm = norm.full_tensor() if self.group.sharded else norm  # type: ignore[attr-defined]
        learning_rate = rate_of(optimizer)
        if self.scaler.is_enabled():
            self.scaler.step(optimizer)
            self.scaler.update()
        else:
            optimizer.step()
        model.schedule.step()
        optimizer.zero_grad(set_to_none=True)
        model.ema.step()
        return {"loss": loss, "gradient_norm": norm, "learning_rate": learning_rate}

    def _backward(self, batch: Batch) -> Tensor:
        while True:  # when memory runs out, the micro-batch is halved and the step starts over: nothing is drawn here
            try:
                return self._accumulate(batch)
            except RuntimeError as error:
                self._make_smaller(error)
            if self.work.device.startswith("cuda"):
                torch.cuda.empty_cache()  # here: what failed is held as long as its error is

    def _accumulate(self, batch: Batch) -> Tensor:
        total, passes = torch.zeros((), device=self.work.device), self._passes(len(batch))
        for number, (images, weight) in enumerate(passes, 1):
            part = batch.part(images)
            with self._gradient_exchange(number == len(passes)):
                errors = weight * self.errors(part).sum() / self.config.global_batch_size
                scaled = self.scaler.scale(errors * self.group.n)  # processes average their gradients
                self.group.accelerator.backward(scaled)
            total += errors.detach()
        return self.group.accelerator.reduce(total, "sum") if self.group.n > 1 else total

    def _passes(self, n: int) -> list[tuple[slice, float]]:
        """The images of each pass over a batch of n, and their weight."""
        if not self.group.sharded:
            return [(slice(start, start + self.micro_batch), 1.0) for start in range(0, n, self.micro_batch)]
        # every pass gathers the model from all processes, so each makes as many of them, perhaps one of weight 0
        n_passes = -(-self.largest_share // self.micro_batch)
        cuts = [share_of(n, number, n_passes) for number in range(n_passes)]
        return [(cut, 1.0) if cut.stop > cut.start else (slice(0, 1), 0.0) for cut in cuts]

    def _gradient_exchange(self, is_last: bool) -> contextlib.AbstractContextManager[None]:
        if self.group.sharded:
            cast(FSDPModule, self.module).set_requires_gradient_sync(is_last)
        elif self.group.n > 1 and not is_last:
            return cast(contextlib.AbstractContextManager[None], self.group.accelerator.no_sync(self.module))
        return contextlib.nullcontext()

    def errors(self, batch: Batch) -> Tensor:
        """Weighted squared error of each image, float32 (b,)."""
        objective = self.model.objective
        noisy = objective.add_noise(batch.clean, batch.added, batch.times)
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.config.precision)
        with torch.autocast(noisy.device.type, dtype, enabled=dtype is not None and self.config.weights == "fp32"):
            prediction = self.module(noisy, batch.times, batch.condition)
        target = objective.target(batch.clean, batch.noise, batch.times)
        return denoising_errors(prediction, target) * objective.weights(batch.times)

    def _make_smaller(self, error: RuntimeError) -> None:
        from accelerate.utils.memory import should_reduce_batch_size

        if not should_reduce_batch_size(error):
            raise error
        # Of several processes the others may be waiting for this one, and cannot start over with it: it has to stop.
        if self.micro_batch == 1 or self.group.n > 1:
            error.add_note("set machine.micro_batch to fewer images, or machine.gradient_checkpointing to true")
            raise error
        self.model.optimizer.zero_grad(set_to_none=True)
        self.micro_batch = (self.micro_batch + 1) // 2
        LOG.warning("out of memory: going on with micro-batches of %d images", self.micro_batch)


def share_of(size: int, rank: int, n: int) -> slice:
    """The part of a global batch that one of n processes takes; sizes differ by at most one image."""
    return slice(size * rank // n, size * (rank + 1) // n)

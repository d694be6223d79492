"""Samplers: from noise to a latent in a number of steps. One file, one sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mep.diffusion.flow import is_flow, shift_of
from mep.errors import DataError
from mep.registry import Method

if TYPE_CHECKING:
    from mep.diffusion.types import SchedulerMixin


class Sampler(Method):
    """Solves the reverse diffusion."""

    noun: ClassVar[str] = "sampler"
    file_names: ClassVar[dict[str, str]] = {"dpmsolver++": "dpmsolverpp"}
    scheduler: ClassVar[str]
    """The class of diffusers that does the work."""
    settings: ClassVar[dict[str, str | bool]] = {}
    """What that class is to be told besides the configuration of the scheduler that the model was trained with."""
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction", "sample")
    """What a model may predict for this sampler to fit it."""
    flow: ClassVar[tuple[str, dict[str, str | bool | int]] | None] = None
    """The class of diffusers and its settings for models of flow matching; None where it does not fit them."""
    zero_snr: ClassVar[bool] = True
    """Whether it can begin at pure noise, where a model of zero terminal SNR begins (Lin et al. 2024)."""

    steps: int = Field(25, ge=1, le=1000)
    """Denoising steps, each one UNet pass (two with guidance)."""

    def fitted(self, config: Mapping[str, object]) -> SchedulerMixin:
        """The scheduler of diffusers for a model that was trained with a scheduler of this configuration."""
        import diffusers

        self.check(config)
        if self.flow and is_flow(config):
            name, settings = self.flow
            common = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift_of(config)}
            flowing: SchedulerMixin = getattr(diffusers, name)(**common, **settings)
            return flowing
        scheduler: SchedulerMixin = getattr(diffusers, self.scheduler).from_config(config, **self.settings)
        return scheduler

    def extras(self) -> dict[str, float]:
        """Further arguments of the pipeline's call."""
        return {}

    def check(self, config: Mapping[str, object]) -> None:
        """DataError where this sampler would draw something else than the model has learned."""
        prediction = "flow_prediction" if is_flow(config) else config.get("prediction_type", "epsilon")
        if prediction == "flow_prediction":
            if self.flow:
                return
            raise DataError(
                f"sampler {self.kind} does not fit a model of flow matching",
                hint="dpmsolver++, euler and unipc do",
                field="generation.sampler",
            )
        if prediction not in self.predictions:
            problem = f"sampler {self.kind} does not fit a model that predicts '{prediction}'"
        elif config.get("rescale_betas_zero_snr") and not self.zero_snr:
            problem = f"sampler {self.kind} cannot begin at pure noise, as this model's schedule does"
        else:
            return
        raise DataError(problem, hint="dpmsolver++, ddim and unipc fit every model", field="generation.sampler")

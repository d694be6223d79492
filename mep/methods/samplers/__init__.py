"""Samplers: from noise to a latent in a number of steps. One file, one sampler."""

from typing import Any, ClassVar

from pydantic import Field

from mep.errors import DataError
from mep.registry import Method


class Sampler(Method):
    """Solves the reverse diffusion."""

    noun: ClassVar[str] = "sampler"
    file_names: ClassVar[dict[str, str]] = {"dpmsolver++": "dpmsolverpp"}
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction", "sample")
    """What a model may predict for this sampler to fit it."""
    zero_snr: ClassVar[bool] = True
    """Whether it can begin at pure noise, where a model of zero terminal SNR begins (Lin et al. 2024)."""

    steps: int = Field(25, ge=1, le=1000)
    """Denoising steps, each one UNet pass (two with guidance)."""

    def scheduler(self, config: Any) -> Any:
        """The diffusers scheduler, made from the configuration of the one that the model was trained with."""
        raise NotImplementedError

    def extras(self) -> dict[str, Any]:
        """Further arguments of the pipeline's call."""
        return {}

    def fitted(self, config: Any) -> Any:
        """The diffusers scheduler, after a look at whether it fits the model."""
        self.check(config)
        return self.scheduler(config)

    def check(self, config: Any) -> None:
        """DataError where this sampler would draw something else than the model has learned."""
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in self.predictions:
            problem = f"sampler {self.kind} does not fit a model that predicts '{prediction}'"
        elif config.get("rescale_betas_zero_snr") and not self.zero_snr:
            problem = f"sampler {self.kind} cannot begin at pure noise, as this model's schedule does"
        else:
            return
        raise DataError(problem, hint="dpmsolver++, ddim and unipc fit every model", field="generation.sampler")

"""The classes that a pipeline is made of, from the modules that define them: type checkers follow no lazy exports."""

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.modeling_utils import ModelMixin as Core
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer

__all__ = ["AutoencoderKL", "CLIPTextModel", "CLIPTokenizer", "Core", "DDPMScheduler", "DiffusionPipeline"]
__all__ += ["SchedulerMixin", "StableDiffusionPipeline", "UNet2DConditionModel"]

"""What stages hand to each other: save, load, check. Parquet, npy, safetensors, PNG and JSON; never a pickle.

Shape letters: `n` images, `d` features, `k` clusters, `h w c` pixels.
"""

from mep.artifacts.base import Artifact
from mep.artifacts.calibration import Calibration
from mep.artifacts.captions import Members, Prompt, Prompts, TrainingSet
from mep.artifacts.images import HELDOUT, TRAIN, VALIDATION, Images
from mep.artifacts.models import BaseModel, Guidance, Latents, Model, Samples
from mep.artifacts.scores import Assignment, Privacy, RealBaseline, References, Scores, Utility
from mep.artifacts.vectors import Clusters, Embeddings, HeldOutEmbeddings, Inliers

__all__ = [
    "HELDOUT",
    "TRAIN",
    "VALIDATION",
    "Artifact",
    "Assignment",
    "BaseModel",
    "Calibration",
    "Clusters",
    "Embeddings",
    "Guidance",
    "HeldOutEmbeddings",
    "Images",
    "Inliers",
    "Latents",
    "Members",
    "Model",
    "Privacy",
    "Prompt",
    "Prompts",
    "RealBaseline",
    "References",
    "Samples",
    "Scores",
    "TrainingSet",
    "Utility",
]

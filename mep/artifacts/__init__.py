"""What stages hand to each other: save, load, check. Parquet, npy, safetensors, PNG and JSON; never a pickle.

Shape letters: `n` images, `d` features, `k` clusters, `h w c` pixels.
"""

from mep.artifacts.base import Artifact, InFolder, Table, load_table, save_table
from mep.artifacts.captions import BalancedGroup, Members, Prompt, Prompts, TrainingSet
from mep.artifacts.images import HELDOUT, SPLITS, TRAIN, VALIDATION, Images, Opener, Reader
from mep.artifacts.models import BaseModel, Guidance, InPipeline, Latents, Model, Samples
from mep.artifacts.scores import Assignment, RealBaseline, References, Scores, Utility
from mep.artifacts.vectors import Assigner, Clusters, ClusterSummary, Embeddings, HeldOutEmbeddings, Inliers, TriedK

__all__ = [
    "HELDOUT",
    "SPLITS",
    "TRAIN",
    "VALIDATION",
    "Artifact",
    "Assigner",
    "Assignment",
    "BalancedGroup",
    "BaseModel",
    "ClusterSummary",
    "Clusters",
    "Embeddings",
    "Guidance",
    "HeldOutEmbeddings",
    "Images",
    "InFolder",
    "InPipeline",
    "Inliers",
    "Latents",
    "Members",
    "Model",
    "Opener",
    "Prompt",
    "Prompts",
    "Reader",
    "RealBaseline",
    "References",
    "Samples",
    "Scores",
    "Table",
    "TrainingSet",
    "TriedK",
    "Utility",
    "load_table",
    "save_table",
]

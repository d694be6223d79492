"""A base of which only the tokenizer is there: enough for whatever counts tokens."""

import json

from mep.artifacts import BaseModel
from mep.methods.bases._tokenizer import build_tokenizer


def base_that_reads(folder, n_tokens):
    """A base of Stable Diffusion's family that reads so many tokens."""
    build_tokenizer(n_tokens).save_pretrained(folder / "pipeline" / "tokenizer")
    index = {"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", "CLIPTokenizer"]}
    (folder / "pipeline" / "model_index.json").write_text(json.dumps(index))
    return BaseModel(folder)

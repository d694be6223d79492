"""The model card: what a trained model is, how it was made, and under which licence it may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from mep.artifacts import BaseModel, Prompts

SHOWN_PROMPTS = 12

CARD = """\
---
{front}
---
# A latent diffusion model of medical images

{made}, {facts.steps} steps on {facts.images} images of {facts.resolution} pixels, with mep. Not a medical device: \
its images are for research, and show what its training images show, their biases included.

## Licence

{licence}

## Use

```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained("pipeline")
{lora}image = pipeline("{example}", height={facts.resolution}, width={facts.resolution}).images[0]
```

{raw}## Captions it knows

{captions}

## Recipe lock

Everything that this model depends on: the settings of each stage that led to it, and the content of what was
read from outside the recipe.

```yaml
{lineage}
```
"""
LOAD_LORA = 'pipeline.load_lora_weights("lora")\n'
RAW = "`raw/` holds the last weights; those of generation are their moving average.\n\n"


@dataclass(frozen=True)
class TrainingFacts:
    """What `training.json` says of a model.

    averaged    whether generation uses the moving average of the weights
    """

    steps: int
    images: int
    parameters: int
    resolution: int
    method: str
    averaged: bool


def model_card(base: BaseModel, prompts: Prompts, facts: TrainingFacts, lineage: Mapping[str, Any]) -> str:
    """Markdown with a front matter as model hubs read it.

    lineage     stage -> settings, seed and outside content of training and of all stages before it
    """
    origin = base.origin
    front = {"library_name": "diffusers", "pipeline_tag": "text-to-image", "tags": ["mep", "medical"]}
    front |= {"license": origin["license"]} if origin.get("license") else {}
    front |= {"base_model": origin["id"]} if origin.get("id") else {}
    start = f"{origin['id']} at {origin['revision']}" if origin.get("id") else f"a model of kind `{origin['kind']}`"
    captions = [f'- "{prompt.text}" ({prompt.n_images} images)' for prompt in prompts.prompts[:SHOWN_PROMPTS]]
    if len(prompts.prompts) > SHOWN_PROMPTS:
        captions.append(f"- and {len(prompts.prompts) - SHOWN_PROMPTS} more")
    is_lora = facts.method == "lora"
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False).strip(),
        made=f"{'LoRA weights for' if is_lora else 'Fine-tuned from'} {start}",
        facts=facts,
        licence=_licence(origin),
        lora=LOAD_LORA if is_lora else "",
        example=prompts.prompts[0].text.replace('"', "'"),
        raw=RAW if facts.averaged else "",
        captions="\n".join(captions),
        lineage=yaml.safe_dump(lineage, sort_keys=False, allow_unicode=True, width=120).strip(),
    )


def _licence(origin: dict[str, str]) -> str:
    if origin["kind"] == "scratch":
        return "Trained from scratch: no weights of another model went in. The licence of the training images applies."
    if origin.get("license"):
        return f"The base is under `{origin['license']}`, whose terms carry over to this model."
    return "The base does not say under which licence it is; ask its authors before you pass this model on."

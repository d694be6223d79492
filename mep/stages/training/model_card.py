"""The model card: what a trained model is, how it was made, and under which licence it may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from mep.artifacts import BaseModel, Prompts, TrainingSet
    from mep.machine.work import Work

SHOWN_PROMPTS = 12


def model_card(base: BaseModel, training_set: TrainingSet, prompts: Prompts, facts: dict[str, Any], work: Work) -> str:
    """Markdown with a front matter as model hubs read it."""
    origin, lora = base.origin, facts["method"] == "lora"
    front: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-image", "tags": ["mep", "medical"]}
    if origin.get("license"):
        front["license"] = origin["license"]
    if origin.get("id"):
        front["base_model"] = origin["id"]
    named = f"{origin['id']} at {origin['revision']}" if origin.get("id") else f"a model of kind `{origin['kind']}`"
    texts = [f'- "{prompt.text}" ({prompt.n_images} images)' for prompt in prompts.prompts[:SHOWN_PROMPTS]]
    if len(prompts.prompts) > SHOWN_PROMPTS:
        texts.append(f"- and {len(prompts.prompts) - SHOWN_PROMPTS} more")
    example = prompts.prompts[0].text.replace('"', "'")
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        "# A latent diffusion model of medical images",
        "",
        f"{'LoRA weights for' if lora else 'Fine-tuned from'} {named}, {facts['steps']} steps on"
        f" {len(training_set.ids)} images of {base.resolution} pixels, with mep. Not a medical device: its images are"
        " for research, and show what its training images show, their biases included.",
        "",
        "## Licence",
        "",
        _licence(origin),
        "",
        "## Use",
        "",
        "```python",
        "from diffusers import StableDiffusionPipeline",
        "",
        'pipeline = StableDiffusionPipeline.from_pretrained("pipeline")',
        *(['pipeline.load_lora_weights("lora")'] if lora else []),
        f'image = pipeline("{example}", height={base.resolution}, width={base.resolution}).images[0]',
        "```",
        "",
        *(
            ["`raw/` holds the last weights; those of generation are their moving average.", ""]
            if facts["averaged"]
            else []
        ),
        "## Captions it knows",
        "",
        *texts,
        "",
        "## Recipe lock",
        "",
        "Everything that this model depends on: the settings of each stage that led to it, and the content of what was",
        "read from outside the recipe.",
        "",
        "```yaml",
        yaml.safe_dump(work.lineage, sort_keys=False, allow_unicode=True, width=120).strip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _licence(origin: dict[str, Any]) -> str:
    if origin["kind"] == "scratch":
        return "Trained from scratch: no weights of another model went in. The licence of the training images applies."
    if origin.get("license"):
        return f"The base is under `{origin['license']}`, whose terms carry over to this model."
    return "The base does not say under which licence it is; ask its authors before you pass this model on."

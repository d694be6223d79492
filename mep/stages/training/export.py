"""From a finished training to the artifact: pipeline, raw weights, logs, samples and model card."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from mep.artifacts import Prompt
from mep.diffusion.cues import FOLDER as CONDITION
from mep.diffusion.denoiser import EMA, Denoiser
from mep.diffusion.families import family_of
from mep.diffusion.new_tokens import save_tokens
from mep.diffusion.pipelines import forget_places, own_modules
from mep.diffusion.token_names import TOKENS
from mep.machine.files import link_or_copy, read_json, write_json, write_text
from mep.methods.conditionings import Conditioning
from mep.stages.training.batches import EncodedInputs
from mep.stages.training.build import TrainingSetup

SHOWN_PROMPTS = 12
MOST_VECTORS = 1000
"""Vectors of a label and cluster that are kept to draw with; 66 groups of 768 numbers take 200 MB."""
CARD = """\
---
{front}
---
# A latent diffusion model of medical images

{made}, {steps} steps on {images} images of {resolution} pixels, with mep. Not a medical device: \
its images are for research, and show what its training images show, their biases included.

## Licence

{licence}

## Use

```python
{imports}from diffusers import {class_name}

pipeline = {class_name}.from_pretrained("pipeline"{absent})
{lora}image = pipeline("{example}", height={resolution}, width={resolution}{call}).images[0]
```

{raw}{beside}## Captions it knows

{captions}

## Recipe lock

Everything that this model depends on: the settings of each stage that led to it, and the content of what was
read from outside the recipe.

```yaml
{lineage}
```
"""
IMPORT_PART = "import {module}  # diffusers has no such class of its own\n"
LOAD_LORA = 'pipeline.load_lora_weights("lora")\n'
LOAD_TOKENS = 'pipeline.load_textual_inversion([str(file) for file in Path("tokens").glob("*.safetensors")])\n'
MADE = {"lora": "LoRA weights for", "textual_inversion": "New tokens for"}
BESIDE = """\
## What it is told beside captions

{what} `condition/` makes {n_tokens} tokens of it, which the model reads after those of the caption. \
With the lines above it is told the caption alone, which it never was in training: its images are then worse. \
With mep installed, this tells it both:

```python
from mep.diffusion.conditioner import prompt_arguments

told = prompt_arguments(pipeline, "condition", "{example}"{record})
image = pipeline(**told, height={resolution}, width={resolution}).images[0]
```

"""
TOLD = {
    "embedding": "The vector of an image, as the stage `embedding` of the recipe below makes it. {vectors}",
    "class": "The number of its label and cluster.",
}
IMAGES = (
    "`condition/vectors.safetensors` holds vectors of training images. An image drawn from one is a variation of that "
    "training image: share the folder as you would share the images."
)
MEANS = "`condition/vectors.safetensors` holds the mean vector of each label and cluster."
RAW = "`raw/` holds the last weights; those of generation are their moving average.\n\n"


def publish(setup: TrainingSetup, denoiser: Denoiser, ema: EMA, log: Path) -> None:
    """Write the artifact into `work.out`, from the gathered module and the average of its weights."""
    config, inputs, work = setup.encoded.config, setup.encoded.inputs, setup.encoded.work
    for name in ("pipeline", "raw", "lora", "kohya", TOKENS, CONDITION):
        shutil.rmtree(work.out / name, ignore_errors=True)
    replaced = [name for name, _ in denoiser.parts() if name in config.method.replaces]
    for path in sorted(inputs.base.pipeline.rglob("*")):  # linked files take no further space
        relative = path.relative_to(inputs.base.pipeline)
        if path.is_file() and relative.parts[0] not in replaced:
            link_or_copy(path, work.out / "pipeline" / relative)
    if config.ema_decay:
        _save(denoiser, setup.encoded, work.out / "raw")
    with ema.applied():
        _save(denoiser, setup.encoded, work.out)
    if config.prediction or config.zero_terminal_snr:
        _write_scheduler(setup.model.objective.scheduler_config, work.out / "pipeline")
    shutil.copyfile(log, work.out / "losses.jsonl")
    setup.validation.publish()
    facts: dict[str, str | int] = {
        "steps": config.steps,
        "images": len(inputs.training_set.ids),
        "parameters": sum(parameter.numel() for parameter in denoiser.trained().values()),
        "resolution": inputs.base.resolution,
        "method": config.method.kind,
        "averaged": bool(config.ema_decay),
    }
    if config.conditioning.kind != "text":
        facts |= {"conditioning": config.conditioning.kind}
    write_json(work.out / "training.json", facts)
    write_text(work.out / "README.md", _model_card(setup.encoded, facts))


def _save(denoiser: Denoiser, encoded: EncodedInputs, folder: Path) -> None:
    """Write the weights as they are now, and what makes tokens of cues, with the cues that images are drawn with."""
    encoded.config.method.save(denoiser, folder)
    if denoiser.text_encoder is not None:
        save_tokens(denoiser.text_encoder, folder / TOKENS)
    if encoded.cues and denoiser.conditioner is not None:
        cues = encoded.cues.cues.thinned(MOST_VECTORS, encoded.work.seed_for("vectors"))
        denoiser.conditioner.save(cues, encoded.config.conditioning.kind, folder / CONDITION)


def _write_scheduler(config: Mapping[str, object], folder: Path) -> None:
    from diffusers import DDIMScheduler

    shutil.rmtree(folder / "scheduler")  # links into the base, which stays as it is
    DDIMScheduler.from_config(config).save_pretrained(folder / "scheduler")
    forget_places(folder / "scheduler")
    index = read_json(folder / "model_index.json")
    (folder / "model_index.json").unlink()
    write_json(folder / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})


def _model_card(encoded: EncodedInputs, facts: dict[str, str | int]) -> str:
    base, prompts = encoded.inputs.base, encoded.inputs.prompts.prompts
    origin, family = base.origin, family_of(base.pipeline)
    front = {"library_name": "diffusers", "pipeline_tag": "text-to-image", "tags": ["mep", "medical"]}
    front |= {"license": origin["license"]} if origin.get("license") else {}
    front |= {"base_model": origin["id"]} if origin.get("id") else {}
    start = f"{origin['id']} at {origin['revision']}" if origin.get("id") else f"a model of kind `{origin['kind']}`"
    captions = [f'- "{prompt.text}" ({prompt.n_images} images)' for prompt in prompts[:SHOWN_PROMPTS]]
    if len(prompts) > SHOWN_PROMPTS:
        captions.append(f"- and {len(prompts) - SHOWN_PROMPTS} more")
    is_lora = facts["method"] == "lora"
    learned = bool(encoded.new_tokens)
    modules = [IMPORT_PART.format(module=module) for module in own_modules(base.pipeline)]
    imports = "".join(["from pathlib import Path\n\n" * learned, *modules])
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False).strip(),
        made=f"{MADE.get(str(facts['method']), 'Fine-tuned from')} {start}",
        licence=_licence(origin),
        imports=imports,
        call="".join(f", {name}={value}" for name, value in family.call.items()),
        absent="".join(f", {name}=None" for name in family.absent(base.pipeline)),
        class_name=family.pipeline,
        lora=LOAD_LORA * is_lora + LOAD_TOKENS * learned,
        example=prompts[0].text.replace('"', "'"),
        raw=RAW if facts["averaged"] else "",
        beside=_told_beside(encoded.config.conditioning, prompts[0], base.resolution),
        captions="\n".join(captions),
        lineage=yaml.safe_dump(encoded.work.lineage, sort_keys=False, allow_unicode=True, width=120).strip(),
        **facts,
    )


def _told_beside(conditioning: Conditioning, prompt: Prompt, resolution: int) -> str:
    """What the card says where captions are not all that the model is told."""
    if conditioning.kind == "text":
        return ""
    vectors = IMAGES if getattr(conditioning, "vector", "image") == "image" else MEANS
    label = f', label="{prompt.label}"' if prompt.label is not None else ""
    cluster = f", cluster={prompt.cluster}" if prompt.cluster is not None else ""
    return BESIDE.format(
        what=TOLD[conditioning.kind].format(vectors=vectors),
        n_tokens=conditioning.n_tokens,
        example=prompt.text.replace('"', "'"),
        record=f"{label}{cluster}",
        resolution=resolution,
    )


def _licence(origin: dict[str, str]) -> str:
    if origin["kind"] == "scratch":
        return "Trained from scratch: no weights of another model went in. The licence of the training images applies."
    if origin.get("license"):
        return f"The base is under `{origin['license']}`, whose terms carry over to this model."
    return "The base does not say under which licence it is; ask its authors before you pass this model on."

"""From a finished training to the artifact: pipeline, raw weights, logs, samples and model card."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from mep.diffusion.denoiser import EMA, Denoiser
from mep.diffusion.families import family_of
from mep.diffusion.pipelines import forget_places, own_modules
from mep.machine.files import link_or_copy, read_json, write_json, write_text
from mep.stages.training.batches import TrainingInputs
from mep.stages.training.build import TrainingSetup

SHOWN_PROMPTS = 12
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

{raw}## Captions it knows

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
RAW = "`raw/` holds the last weights; those of generation are their moving average.\n\n"


def publish(setup: TrainingSetup, denoiser: Denoiser, ema: EMA, log: Path) -> None:
    """Write the artifact into `work.out`, from the gathered module and the average of its weights."""
    config, inputs, work = setup.encoded.config, setup.encoded.inputs, setup.encoded.work
    for name in ("pipeline", "raw", "lora"):
        shutil.rmtree(work.out / name, ignore_errors=True)
    replaced = [name for name, _ in denoiser.parts() if name in config.method.replaces]
    for path in sorted(inputs.base.pipeline.rglob("*")):  # linked files take no further space
        relative = path.relative_to(inputs.base.pipeline)
        if path.is_file() and relative.parts[0] not in replaced:
            link_or_copy(path, work.out / "pipeline" / relative)
    if config.ema_decay:
        config.method.save(denoiser, work.out / "raw")
    with ema.applied():
        config.method.save(denoiser, work.out)
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
    write_json(work.out / "training.json", facts)
    write_text(work.out / "README.md", _model_card(inputs, facts, work.lineage))


def _write_scheduler(config: Mapping[str, object], folder: Path) -> None:
    from diffusers import DDIMScheduler

    shutil.rmtree(folder / "scheduler")  # links into the base, which stays as it is
    DDIMScheduler.from_config(config).save_pretrained(folder / "scheduler")
    forget_places(folder / "scheduler")
    index = read_json(folder / "model_index.json")
    (folder / "model_index.json").unlink()
    write_json(folder / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})


def _model_card(inputs: TrainingInputs, facts: dict[str, str | int], lineage: Mapping[str, object]) -> str:
    origin, prompts = inputs.base.origin, inputs.prompts.prompts
    front = {"library_name": "diffusers", "pipeline_tag": "text-to-image", "tags": ["mep", "medical"]}
    front |= {"license": origin["license"]} if origin.get("license") else {}
    front |= {"base_model": origin["id"]} if origin.get("id") else {}
    start = f"{origin['id']} at {origin['revision']}" if origin.get("id") else f"a model of kind `{origin['kind']}`"
    captions = [f'- "{prompt.text}" ({prompt.n_images} images)' for prompt in prompts[:SHOWN_PROMPTS]]
    if len(prompts) > SHOWN_PROMPTS:
        captions.append(f"- and {len(prompts) - SHOWN_PROMPTS} more")
    is_lora = facts["method"] == "lora"
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False).strip(),
        made=f"{'LoRA weights for' if is_lora else 'Fine-tuned from'} {start}",
        licence=_licence(origin),
        imports="".join(IMPORT_PART.format(module=module) for module in own_modules(inputs.base.pipeline)),
        call="".join(f", {name}={value}" for name, value in family_of(inputs.base.pipeline).call.items()),
        absent="".join(f", {name}=None" for name in family_of(inputs.base.pipeline).absent(inputs.base.pipeline)),
        class_name=family_of(inputs.base.pipeline).pipeline,
        lora=LOAD_LORA if is_lora else "",
        example=prompts[0].text.replace('"', "'"),
        raw=RAW if facts["averaged"] else "",
        captions="\n".join(captions),
        lineage=yaml.safe_dump(lineage, sort_keys=False, allow_unicode=True, width=120).strip(),
        **facts,
    )


def _licence(origin: dict[str, str]) -> str:
    if origin["kind"] == "scratch":
        return "Trained from scratch: no weights of another model went in. The licence of the training images applies."
    if origin.get("license"):
        return f"The base is under `{origin['license']}`, whose terms carry over to this model."
    return "The base does not say under which licence it is; ask its authors before you pass this model on."

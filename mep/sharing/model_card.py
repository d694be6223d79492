"""The card of a model: what it is, how it is used, what was found, and what it may tell of patients."""

import json
from typing import Any, TypeAlias

import yaml

from mep.artifacts import BaseModel, Guidance, Images, Model, Prompt, Prompts, TrainingSet
from mep.diffusion.cues import FOLDER, VECTORS
from mep.diffusion.families import family_of
from mep.diffusion.pipelines import LORA_FILE, own_modules
from mep.diffusion.token_names import TOKENS
from mep.machine.files import read_json
from mep.sharing.condition import MEANS, can_be_drawn, is_told_more, patients_of
from mep.sharing.finished import Finished
from mep.sharing.patients import learned_from, patients_part
from mep.sharing.selection import FEWEST, Selection

Drawing: TypeAlias = dict[str, Any]
MOST_CAPTIONS = 12
NEW_TOKENS = "textual_inversion"
CARD = """\
---
{front}
---
# {title}

A latent diffusion model of medical images, {made}. It was trained with [mep](https://pypi.org/project/mep/) for \
{steps} steps on {images} real images and draws {side} × {side} pixels. Its images are synthetic.

![Images that it has drawn](samples.png)

## Verdict

Run `{run_id}`, arm `{arm}`.

{table}

All numbers, and what they rest on, are in [results.json](results.json).

## Use

For research. This is no medical device. Its images show what its training images show, biases included. A drawn \
image has the label that its caption asked for; nobody has seen that label in it.

```python
{code}
```

## Captions it knows

{captions}

## Patients

{patients}

## Licence

{licence}

## How it was made

[recipe.lock.yaml](recipe.lock.yaml) has every setting, version and digest. With the same images, \
`mep run recipe.lock.yaml` makes this model again.
"""


def model_card(shared: Finished, chosen: Selection, place: str, license_id: str, dataset: str) -> str:
    """The README of a model repository.

    place       what `from_pretrained` is given: `org/name`, or the folder
    license_id  of this model, as far as its base does not say
    dataset     repository of the synthetic images; empty where they are not published
    """
    arm = shared.arm
    model, base = arm.get(Model), arm.get(BaseModel)
    assert model is not None
    assert base is not None
    origin, facts = base.origin, model.facts()
    of_base = origin.get("license", "")
    is_lora = (model.folder / "lora").is_dir()
    front: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-image"}
    front |= {"license": of_base or license_id} if of_base or license_id else {}
    if origin.get("id"):
        front |= {"base_model": origin["id"], "base_model_relation": "adapter" if is_lora else "finetune"}
    front |= {"datasets": [dataset]} if dataset else {}
    front |= {"tags": ["mep", "medical", "synthetic"], "model-index": _index(shared)}
    known = [text for text in chosen.captions.values() if text is not None]
    captions = [f'- "{text}"' for text in known[:MOST_CAPTIONS]]
    captions += [f"- and {len(known) - MOST_CAPTIONS} more"] if len(known) > MOST_CAPTIONS else []
    vectors = [MEANS.format(fewest=FEWEST)] if (model.folder / FOLDER / VECTORS).exists() else []
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        title=shared.title,
        made=_made(origin, is_lora),
        steps=facts["steps"],
        images=facts["images"],
        side=model.resolution,
        run_id=shared.run.run_id,
        arm=arm.name,
        table=shared.table,
        code=drawing_code(model, base, place, _first(shared, chosen), _drawing(shared)),
        captions="\n".join(captions) or "They stay behind: they come from the dataset.",
        patients="\n".join([learned_from(arm.get(Images)), *vectors, *patients_part(shared, chosen)]),
        licence=_licence(of_base, origin["kind"], license_id),
    )


def needs_base(model: Model, base: BaseModel) -> bool:
    """Whether the weights go beside a base that the hub has: it is loaded from there, not published again."""
    beside = (model.folder / "lora").is_dir() or read_json(model.folder / model.about).get("method") == NEW_TOKENS
    return beside and bool(base.origin.get("id"))


def _first(shared: Finished, chosen: Selection) -> Prompt:
    """The first prompt whose caption leaves, and whose vector does where the model is told one."""
    prompts, model = shared.arm.get(Prompts), shared.arm.get(Model)
    leaving = [prompt for prompt in (prompts.prompts if prompts else []) if chosen.captions.get(prompt.id) is not None]
    if model is not None and (model.folder / FOLDER / VECTORS).exists():
        patients = patients_of(shared.arm.get(Images), shared.arm.get(TrainingSet))
        leaving.sort(key=lambda prompt: not can_be_drawn(prompt, patients))
    return leaving[0] if leaving else Prompt("", "...", None, None, 0)


def drawing_code(model: Model, base: BaseModel, place: str, prompt: Prompt, drawing: Drawing) -> str:
    """Python that draws one image with diffusers, as this run has drawn them."""
    family, folder = family_of(model.pipeline), model.pipeline
    lines = [f"import {module}  # diffusers has no such class of its own" for module in own_modules(folder)]
    absent = "".join(f", {name}=None" for name in family.absent(folder))
    lines += [f"from diffusers import {family.pipeline}", ""]
    start = f'"{place}"'
    if needs_base(model, base):
        start = f'"{base.origin["id"]}", revision="{base.origin["revision"]}"'
    lines += [f"pipeline = {family.pipeline}.from_pretrained({start}{absent})"]
    if (model.folder / "lora").is_dir():
        lines += [f'pipeline.load_lora_weights("{place}", weight_name="{LORA_FILE}")']
    if tokens := sorted(path.name for path in (model.folder / TOKENS).glob("*.safetensors")):
        lines += [f"for name in {json.dumps(tokens)}:"]
        lines += [f'    pipeline.load_textual_inversion("{place}", weight_name="{TOKENS}/" + name)']
    call = {"height": model.resolution, "width": model.resolution} | drawing
    escaped = json.dumps(prompt.text, ensure_ascii=False)
    if is_told_more(model):
        lines.insert(0, "from mep.diffusion.conditioner import prompt_arguments")
        record = {"label": prompt.label, "cluster": prompt.cluster}
        said = "".join(f", {name}={json.dumps(value)}" for name, value in record.items() if value is not None)
        lines += [f'told = prompt_arguments(pipeline, "{place}", {escaped}{said})']
        escaped = "**told"
    else:
        call |= family.call
    settings = "".join(f", {name}={value}" for name, value in call.items())
    return "\n".join([*lines, f"image = pipeline({escaped}{settings}).images[0]"])


def _made(origin: dict[str, str], is_lora: bool) -> str:
    if origin["kind"] == "scratch":
        return "LoRA weights for a base from scratch, which comes with them" if is_lora else "trained from scratch"
    start = f"{origin['id']} at `{origin['revision']}`" if origin.get("id") else "a base that the lock describes"
    return f"{'LoRA weights for' if is_lora else 'fine-tuned from'} {start}"


def _drawing(shared: Finished) -> Drawing:
    """Arguments of the call that draws as the run has drawn."""
    steps, guidance = shared.arm.experiment.generation.sampler.steps, shared.arm.load(Guidance)
    return {"num_inference_steps": steps} | ({"guidance_scale": guidance.scale} if guidance else {})


def _index(shared: Finished) -> list[dict[str, Any]]:
    """The numbers of the arm as the hub lists them: those of the overview that have a value."""
    metrics = [
        {
            "type": metric.metric,
            "name": f"{metric.name} ({metric.extractor}, {metric.reference})",
            "value": number.value,
        }
        for metric in shared.comparison.metrics
        if metric.in_overview
        and metric.group == "all"
        and (number := metric.arms.get(shared.label)) is not None
        and number.value is not None
    ]
    task = {"type": "text-to-image"}
    dataset = {"type": "private", "name": "held-out real images of the run, which are not published"}
    return [{"name": shared.title, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}]


def _licence(of_base: str, kind: str, license_id: str) -> str:
    if of_base:
        return f"The base is under `{of_base}`, whose terms carry over to this model."
    if license_id:
        return f"`{license_id}`, within the terms of the real images that it was trained on."
    if kind == "scratch":
        return "No licence was named, and no weights of another model went in: ask who published this."
    return "Neither the base nor who published this names a licence: ask before you pass it on."

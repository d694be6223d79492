"""The card of the synthetic dataset."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml

from mep.artifacts import Images
from mep.report.text import in_markdown, plain
from mep.sharing.finished import Finished
from mep.sharing.patients import learned_from, patients_part
from mep.sharing.selection import Selection

if TYPE_CHECKING:
    from datasets import Features

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
CARD = """\
---
{front}
---
# {title}: synthetic images

{n} synthetic medical images, drawn by a diffusion model that was trained with [mep](https://pypi.org/project/mep/). \
**None was taken of a patient.** Each was drawn for a caption, and nobody has seen in it what the caption says.

![Some of the images](samples.png)

```python
from datasets import load_dataset

images = load_dataset("{place}", split="train", streaming=True)
print(next(iter(images)))
```

| column | what it holds |
| --- | --- |
| image | the image, {side} × {side} pixels, as {form} |
| prompt | the caption that it was drawn for |
{columns}| prompt_id, seed | name of the caption, and the seed: the same model draws the same image again |

{counts}

{model}[croissant.json](croissant.json) describes the dataset to other programs.

## Verdict

Run `{run_id}`, arm `{arm}`: what was measured before the images were published.

{table}

All numbers, and what they rest on, are in [results.json](results.json).

## Use

For research. Say that the images are synthetic wherever they are shown. Do not mix them into a set that others take
for real. They show what the real images showed, biases included. No device may be validated on them.

## Patients

{patients}

## Licence

{licence}

## How it was made

[recipe.lock.yaml](recipe.lock.yaml) has every setting, version and digest.
"""


def dataset_card(
    shared: Finished, chosen: Selection, features: "Features", place: str, license_id: str, model: str
) -> str:
    """The README of a dataset repository.

    place       what `load_dataset` is given
    model       repository of the model; empty where it is not published
    """
    arm, n = shared.arm, len(chosen.rows)
    front: dict[str, Any] = {"pretty_name": f"{shared.title}: synthetic images"}
    front |= {"license": license_id} if license_id else {}
    front |= {"task_categories": ["text-to-image", *(["image-classification"] if "label" in features else [])]}
    front |= {"tags": ["synthetic", "medical", "mep", "croissant"], "size_categories": [_size(n)]}
    front["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}]
    n_bytes = sum(chosen.path_of(row).stat().st_size for row in chosen.rows)
    splits = [{"name": "train", "num_bytes": n_bytes, "num_examples": n}]
    front["dataset_info"] = {"features": features._to_yaml_list(), "splits": splits}
    columns = "| label | the label that the caption asked for |\n" if "label" in features else ""
    columns += "| cluster | the cluster that it asked for: clusters are numbered |\n" if "cluster" in features else ""
    facts = shared.arm.experiment.generation
    return CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
        title=shared.title,
        n=f"{n:,}",
        place=place,
        side=_side(chosen),
        form=facts.format.upper(),
        columns=columns,
        counts=_counts(chosen),
        model=f"The model that drew them: [{model}](https://huggingface.co/{model}). " if model else "",
        run_id=shared.run.run_id,
        arm=arm.name,
        table=shared.table,
        patients="\n".join([learned_from(arm.get(Images)), *patients_part(shared, chosen)]),
        licence=f"`{license_id}`." if license_id else "None was named: ask who published this before you pass it on.",
    )


def _size(n: int) -> str:
    return next((name for most, name in SIZES if n < most), "n>1M")


def _side(chosen: Selection) -> int:
    from PIL import Image

    with Image.open(chosen.path_of(chosen.rows[0])) as image:
        return image.size[0]


def _counts(chosen: Selection) -> str:
    """How many images of each label there are, as a table."""
    counts = Counter(row["label"] for row in chosen.rows)
    if None in counts:
        return f"{len(chosen.rows):,} images, without labels."
    lines = [f"| {in_markdown(plain(label))} | {n:,} |" for label, n in sorted(counts.items())]
    return "\n".join(["| label | images |", "| --- | ---: |", *lines])

"""The training set as other programs want it: a Hugging Face imagefolder with captions."""

import json
from collections import Counter
from pathlib import Path

from mep.artifacts import Images, Prompts, TrainingSet
from mep.machine.files import link_or_copy, write_text

PLAIN = ("RGB", "L")
"""Modes that every program reads as mep does; a file of another mode, or one to be rotated, is written anew as PNG."""
ORIENTATION = 0x0112  # EXIF tag; 1 is upright


def write_imagefolder(images: Images, training_set: TrainingSet, prompts: Prompts, folder: Path) -> Counter[str]:
    """train/ and, where there are validation images, validation/, each with a metadata.jsonl; how files got there.

    Rows hold file_name, text, label, prompt_id, cluster, weight (0 for validation) and the dataset's other columns, but
    for those that are empty in a whole part: the datasets library wants the same columns and types in all.
    A file keeps its folders, so that two of one name stay two. It is linked where the file system can, else copied.
    """
    how: Counter[str] = Counter()
    watched = training_set.validation
    parts = {
        "train": (training_set.ids, training_set.clusters.tolist(), training_set.weights.tolist()),
        "validation": (watched.ids, watched.clusters.tolist(), [0.0] * len(watched)),
    }
    tables: dict[str, list[dict[str, object]]] = {}
    for split, (ids, clusters, weights) in parts.items():
        for image_id, row, cluster, weight in zip(ids, images.rows(ids).tolist(), clusters, weights, strict=True):
            if image_id not in prompts.of_image:
                continue  # a validation image whose record no training image has
            prompt = prompts.prompts[prompts.of_image[image_id]]
            name = _place(images, row, folder / split, how)
            record = {"file_name": name, "text": prompt.text, "label": images.label_of(row), "prompt_id": prompt.id}
            record |= {"cluster": cluster, "weight": weight}
            others = {column: values[row] for column, values in images.metadata.items() if column not in record}
            tables.setdefault(split, []).append(record | others)
    empty = {name for rows in tables.values() for name in rows[0] if all(row[name] is None for row in rows)}
    for split, rows in tables.items():
        lines = [{name: value for name, value in row.items() if name not in empty} for row in rows]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(folder / split / "metadata.jsonl", text)
    return how


def is_plain(path: Path) -> bool:
    """Whether every program reads a file as mep does."""
    from PIL import Image

    with Image.open(path) as image:
        plain = image.mode in PLAIN and "transparency" not in image.info
        return plain and image.getexif().get(ORIENTATION, 1) == 1


def _place(images: Images, row: int, folder: Path, how: Counter[str]) -> str:
    """Put an image under a folder; its path there."""
    image_id = images.ids[row]
    path = images.source.path_of(image_id)
    if path is not None and images.framing is None and is_plain(path):
        how[link_or_copy(path.resolve(), folder / image_id)] += 1
        return image_id
    from PIL import Image

    target = folder / f"{image_id}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images.read(row)).save(target)
    how["converted"] += 1
    return f"{image_id}.png"

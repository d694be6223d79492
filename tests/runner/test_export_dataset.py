import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Images, Members, Prompt, Prompts, TrainingSet
from mep.artifacts.imagefolder import write_imagefolder
from mep.cli.main import main
from mep.methods.sources.imagefolder import ImageFolder


@pytest.fixture
def exported(tmp_path):
    """Two images of one name in two folders, one to be rotated, one deep grey; one validation, one held out."""
    source = tmp_path / "source"
    rng = np.random.default_rng(0)
    names = ["a/1.png", "b/1.png", "turned.jpg", "deep.png", "watched.png", "never.png"]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).save(source / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(source / "turned.jpg", exif=exif)
    Image.fromarray(np.full((6, 8), 4000, np.uint16)).save(source / "deep.png")
    splits = np.array([TRAIN] * 4 + [VALIDATION, HELDOUT], np.int8)
    images = Images(
        names,
        np.array([0, 1, 0, 1, 0, 1]),
        ["x", "y"],
        splits,
        [""] * 6,
        np.ones((6, 2), int),
        {"label": ["x", "y"] * 3, "age": [1, 2, 3, 4, 5, None]},
        ImageFolder(kind="imagefolder", path=source),
        pixels={"window": [0, 4095]},
    )
    rest = Members(["watched.png"], ["x"], np.array([0]))
    chosen = TrainingSet(names[:4], ["x", "y", "x", "y"], np.array([0, 1, 0, 1]), np.array([1, 1, 1.5, 0.5]), [], rest)
    known = [Prompt("x_c00", "type zero of x", "x", 0, 2), Prompt("y_c01", 'type "one" of y', "y", 1, 2)]
    prompts = Prompts(known, dict(zip(names, [0, 1, 0, 1, 0], strict=False)))
    how = write_imagefolder(images, chosen, prompts, tmp_path / "out")
    return source, images, tmp_path / "out", how


def test_datasets_reads_what_was_exported_with_captions_and_the_pixels_of_mep(exported, tmp_path):
    from datasets import load_dataset

    _, images, out, _ = exported
    data = load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in data.items()} == {"train": 4, "validation": 1}
    row = data["train"][1]
    assert row["text"] == 'type "one" of y'  # what the diffusers script calls image_column and caption_column
    assert (row["label"], row["prompt_id"], row["cluster"], row["weight"], row["age"]) == ("y", "y_c01", 1, 1.0, 2)
    for place, one in enumerate(data["train"]):
        assert np.array_equal(np.asarray(one["image"].convert("RGB")), images.read(place)), images.ids[place]


def test_the_training_part_is_what_diffusers_text_to_image_script_reads(exported, tmp_path):
    """Its way: every file below --train_data_dir, the columns image and text, batches of resized RGB and of tokens."""
    import torch
    from datasets import load_dataset

    from mep.methods.bases._tokenizer import build_tokenizer

    _, _, out, _ = exported
    tokenizer = build_tokenizer(77)
    data = load_dataset("imagefolder", data_files={"train": f"{out}/train/**"}, cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    assert {"image", "text"} <= set(data.column_names)

    def prepare(rows):
        squares = [np.asarray(one.convert("RGB").resize((16, 16))) / 127.5 - 1 for one in rows["image"]]
        tokens = tokenizer(rows["text"], max_length=77, padding="max_length", truncation=True, return_tensors="pt")
        return {"pixels": [torch.from_numpy(one).permute(2, 0, 1) for one in squares], "tokens": tokens.input_ids}

    (batch,) = torch.utils.data.DataLoader(data.with_transform(prepare), batch_size=4)
    assert batch["pixels"].shape == (4, 3, 16, 16)
    assert len({tuple(row) for row in batch["tokens"].tolist()}) == 2  # two captions


def test_files_of_one_name_stay_two_and_plain_ones_are_links(exported):
    source, _, out, how = exported
    assert how == {"linked": 3, "converted": 2}
    assert (out / "train" / "a" / "1.png").stat().st_ino == (source / "a" / "1.png").stat().st_ino
    assert (out / "train" / "b" / "1.png").read_bytes() == (source / "b" / "1.png").read_bytes()
    rows = [json.loads(line) for line in (out / "train" / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == ["a/1.png", "b/1.png", "turned.jpg.png", "deep.png.png"]
    assert not any("never" in path.name for path in out.rglob("*"))


def test_a_run_is_exported_by_command(tiny_recipe, tmp_path):
    runs = ["--runs", str(tmp_path / "runs")]
    assert CliRunner().invoke(main, [*runs, "run", str(tiny_recipe)]).exit_code == 0
    (run,) = [path.name for path in (tmp_path / "runs").glob("*-tiny")]
    done = CliRunner().invoke(main, [*runs, "export-dataset", run, str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "train" / "metadata.jsonl").read_text().splitlines()]
    assert all("morphology type" in row["text"] for row in rows)  # the last arm
    again = CliRunner().invoke(main, [*runs, "export-dataset", run, str(tmp_path / "out")])
    assert (again.exit_code, "is not empty" in again.stderr) == (2, True)
    wrong = CliRunner().invoke(main, [*runs, "export-dataset", run, str(tmp_path / "b"), "--arm", "nope"])
    assert (wrong.exit_code, "known: label-only, mep" in wrong.stderr) == (2, True)

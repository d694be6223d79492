import json
import shutil

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from dicom_files import write_dicom
from PIL import Image
from small_data import draw

from mep.cli.main import main
from mep.stages.dataset.lint import CHECKS


def lint(folder, tmp_path, *options, **dataset):
    settings = {"source": {"kind": "imagefolder", "path": str(folder)}, "label": "label"} | dataset
    recipe = {"mep": 2, "name": "x", "dataset": settings, "training": {"base": "scratch", "steps": 1}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(recipe))
    return CliRunner().invoke(main, ["lint", str(tmp_path / "x.yaml"), *options])


def checks_of(done):
    return {(one["check"], one["image"]) for one in json.loads(done.stdout)}


def add_row(folder, name, label="healthy", slide="new"):
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": name, "label": label, "slide": slide}) + "\n")


def test_a_clean_dataset_passes(imagefolder, tmp_path):
    done = lint(imagefolder, tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "40 images: nothing to complain about" in done.stderr


def test_of_a_folder_it_says_what_a_recipe_would_read(imagefolder, tmp_path):
    done = CliRunner().invoke(main, ["lint", str(imagefolder)])
    rows = [line.split() for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert rows[1] == ["label", "40", "2", "healthy", "20,", "cancer", "20"]
    assert rows[2][:3] == ["slide", "40", "10"]
    read = yaml.safe_load(done.stdout.splitlines()[-1])["dataset"]
    assert lint(imagefolder, tmp_path, **read).exit_code == 0
    shutil.copy(imagefolder / "01.png", imagefolder / "twice.png")
    add_row(imagefolder, "twice.png", label="cancer")
    assert checks_of(CliRunner().invoke(main, ["lint", str(imagefolder), "--json"])) == {("duplicate", "twice.png")}
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.dcm").touch()
    assert "{kind: dicom, path: ...} reads .dcm" in CliRunner().invoke(main, ["lint", str(tmp_path / "scans")]).stderr


def test_every_problem_is_found_and_the_exclusion_list_makes_the_dataset_pass(imagefolder, tmp_path):
    (imagefolder / "more").mkdir()
    new = draw(np.random.default_rng(9), True, size=80)
    Image.fromarray(new).save(imagefolder / "more" / "wide.png")
    add_row(imagefolder, "more/wide.png")
    shutil.copy(imagefolder / "01.png", imagefolder / "more" / "01.png")  # 01 is cancer
    add_row(imagefolder, "more/01.png", label="healthy")
    shutil.copy(imagefolder / "02.png", imagefolder / "twice.png")
    add_row(imagefolder, "twice.png")
    Image.fromarray(new[:32, :32]).save(imagefolder / "none.png")
    (imagefolder / "text.png").write_text("not an image")
    add_row(imagefolder, "text.png", label="unseen")
    found = checks_of(lint(imagefolder, tmp_path, "--json"))
    assert found == {
        ("unreadable", "text.png"),
        ("missing_label", "none.png"),
        ("duplicate", "twice.png"),
        ("conflicting_labels", "01.png"),
        ("conflicting_labels", "more/01.png"),
        ("same_name", "more/01.png"),
        ("resolution", "more/wide.png"),
    }
    assert lint(imagefolder, tmp_path).exit_code == 1
    lint(imagefolder, tmp_path, "--fix", str(tmp_path / "out.txt"))
    assert lint(imagefolder, tmp_path, exclude=str(tmp_path / "out.txt")).exit_code == 0


def test_what_given_splits_tear_apart_is_found_and_the_training_side_is_left_out(imagefolder, tmp_path):
    folder = tmp_path / "split"
    for number, row in enumerate((imagefolder / "metadata.jsonl").read_text().splitlines()):
        side = folder / ("test" if number in (0, 9) or number >= 32 else "train")
        side.mkdir(parents=True, exist_ok=True)
        shutil.copy(imagefolder / f"{number:02d}.png", side)
        with (side / "metadata.jsonl").open("a") as file:
            file.write(row + "\n")
    with Image.open(imagefolder / "33.png") as image:
        image.resize((28, 28)).save(folder / "train" / "33b.png")
    add_row(folder / "train", "33b.png", label="cancer", slide="s77")
    given = {"group": "slide", "holdout": {"splits": ["test"]}}
    found = checks_of(lint(folder, tmp_path, "--json", **given))
    torn = {f"train/{number:02d}.png" for number in (1, 2, 3, 8, 10, 11)} | {"test/00.png", "test/09.png"}
    assert {image for check, image in found if check == "straddling_group"} == torn
    assert {image for check, image in found if check == "straddling_twin"} == {"train/33b.png", "test/33.png"}
    lint(folder, tmp_path, "--fix", str(tmp_path / "out.txt"), **given)
    out = (tmp_path / "out.txt").read_text().splitlines()
    assert sorted(out) == sorted([one for one in torn if one.startswith("train")] + ["train/33b.png"])
    assert lint(folder, tmp_path, exclude=str(tmp_path / "out.txt"), **given).exit_code == 0


def test_classes_that_cannot_be_learned_are_named_and_may_be_allowed(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(rng, True)).save(tmp_path / "set" / name)
    (tmp_path / "set" / "c").mkdir()
    done = lint(tmp_path / "set", tmp_path)
    assert done.exit_code == 1
    assert "class 'b' has 1 image, 1 to train on: balancing by uniform_per_prompt would cut all to it" in done.stdout
    assert "class 'c' has no images, 0 to train on" in done.stdout
    assert lint(tmp_path / "set", tmp_path, "--allow", "small_class").exit_code == 0


def test_a_class_that_would_starve_the_others_is_named(tmp_path):
    rng = np.random.default_rng(0)
    for name in [*(f"{label}/{number}.png" for label in "ab" for number in range(60)), "c/1.png", "c/2.png", "c/3.png"]:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(rng, True)).save(tmp_path / "set" / name)
    done = lint(tmp_path / "set", tmp_path, near_duplicate_bits=None)
    assert "class 'c' has 3 images to train on, the median class 60: balancing by uniform_per_prompt" in done.stdout
    assert "class 'a'" not in done.stdout


def test_an_unknown_check_is_told(imagefolder, tmp_path):
    done = lint(imagefolder, tmp_path, "--allow", "typo")
    assert done.exit_code == 2
    assert all(check in done.stderr for check in CHECKS)


@pytest.mark.parametrize("name", ["pcam", "cxr"])
def test_the_real_images_are_clean(name, request, tmp_path):
    folder = request.getfixturevalue(name)
    assert lint(folder, tmp_path, "--set", f"dataset.label={'label' if name == 'pcam' else 'null'}").exit_code == 0


def test_what_only_the_headers_of_dicom_files_tell_is_found(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, (6, 32, 32), dtype=np.uint16)
    window = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 12}
    write_dicom(tmp_path / "set" / "a.dcm", pixels[0], **window)
    write_dicom(tmp_path / "set" / "b.dcm", pixels[1:3], BurnedInAnnotation="YES", **window)
    write_dicom(tmp_path / "set" / "c.dcm", pixels[3], BitsStored=12)
    write_dicom(tmp_path / "set" / "d.dcm", pixels[4], BurnedInAnnotation="NO", PixelSpacing=[0.5, 0.7], **window)
    write_dicom(tmp_path / "set" / "f.dcm", pixels[5], **window | {"WindowWidth": 0})
    (tmp_path / "set" / "e.dcm").touch()
    source = {"kind": "dicom", "path": str(tmp_path / "set")}
    found = checks_of(lint(tmp_path, tmp_path, "--json", source=source, label=None))
    assert found == {
        ("burned_in", "b.dcm#0001"),
        ("burned_in", "b.dcm#0002"),
        ("not_square", "d.dcm"),
        ("no_window", "c.dcm"),
        ("no_window", "f.dcm"),
        ("unreadable", "e.dcm"),
    }
    lint(tmp_path, tmp_path, "--fix", str(tmp_path / "out.txt"), source=source, label=None)
    assert (tmp_path / "out.txt").read_text().split() == ["b.dcm#0001", "b.dcm#0002", "e.dcm"]


def test_dicom_files_of_another_kind_than_most_are_found(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    for number, modality in enumerate(["CT", "CT", "CT", "CT", "MR", None]):
        image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER" if number == 3 else "AXIAL"]
        write_dicom(tmp_path / "ct" / f"{number}.dcm", pixels[number], ImageType=image_type, Modality=modality)
        kind = ("CR", "DX")[number % 2]
        write_dicom(tmp_path / "xray" / f"{number}.dcm", pixels[number], Modality=kind)  # both are X-rays
    source = {"kind": "dicom", "path": str(tmp_path / "ct")}
    found = checks_of(lint(tmp_path, tmp_path, "--json", source=source, label=None))
    assert found == {("modality", "3.dcm"), ("modality", "4.dcm")}
    source["path"] = str(tmp_path / "xray")
    assert not checks_of(lint(tmp_path, tmp_path, "--json", source=source, label=None))

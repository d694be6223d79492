"""Whole runs on DICOM files: the numbers of the same pixels as JPEG, and no trace of the patients."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import write_dicom
from PIL import Image
from small_data import draw, tiny_settings, write_recipe

from mep.cli.main import main

SECRETS = ("MRN-77", "Doehring", "19470312", "1.2.826.0.1", "ACC-4711")


def run(settings, folder):
    recipe = write_recipe(folder / "recipe.yaml", settings)
    done = CliRunner().invoke(main, ["--runs", str(folder / "runs"), "run", str(recipe)])
    assert done.exit_code == 0, done.output
    return done


def numbers_of(folder):
    shown = CliRunner().invoke(main, ["--runs", str(folder / "runs"), "report", "--format", "json"])
    assert shown.exit_code == 0, shown.output
    return measured(json.loads(shown.stdout))


def measured(value):
    """All numbers and verdicts: not the names of runs and files, nor what is said of the files' format."""
    if isinstance(value, dict):
        names = {"runs", "members", "matched_images", "image_format", "flags", "notes"}
        return {key: measured(one) for key, one in value.items() if key not in names}
    return [measured(one) for one in value] if isinstance(value, list) else value


def settings_of(source, **dataset):
    settings = tiny_settings("unused")
    settings |= {"modality": "cxr", "arms": {"one-caption": {"prompts": {"template": "Chest X-ray"}}, "mep": {}}}
    settings["dataset"] = {"source": source, "holdout": {"fraction": 0.25}} | dataset
    settings["prompts"]["template"] = "Chest X-ray, appearance type {cluster:words}"
    settings["generation"]["allocation"] = {"kind": "per_label", "images": 6}
    return settings


def test_fifty_x_rays_give_the_same_numbers_as_dicom_and_as_jpeg(cxr, tmp_path):
    for path in sorted(cxr.glob("*.jpg")):
        with Image.open(path) as image:
            write_dicom(tmp_path / "dicom" / "set" / f"{path.stem}.dcm", np.asarray(image.convert("L")))
    run(settings_of({"kind": "imagefolder", "path": str(cxr)}), tmp_path / "dicom" / "..")
    run(settings_of({"kind": "dicom", "path": str(tmp_path / "dicom" / "set")}), tmp_path / "dicom")
    ours, theirs = numbers_of(tmp_path / "dicom"), numbers_of(tmp_path)
    assert "kid" in json.dumps(ours)
    assert ours == theirs


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Twelve patients with two images each, all that identifies them in the headers, and a run that is done."""
    folder, rng = tmp_path_factory.mktemp("hospital"), np.random.default_rng(0)
    for number in range(24):
        pixels = draw(rng, number % 2)[..., 0].astype(np.uint16) * 16
        write_dicom(
            folder / "set" / f"IM{number:03d}",
            pixels,
            BitsStored=12,
            WindowCenter=2048,
            WindowWidth=4096,
            PatientID=f"MRN-77{number // 2:02d}",
            PatientName="Doehring^Anna",
            PatientBirthDate="19470312",
            AccessionNumber=f"ACC-4711{number}",
            StudyInstanceUID=f"1.2.826.0.1.{number}",
            PatientSex="MF"[number % 2],
            PatientAge="077Y",
        )
    source = {"kind": "dicom", "path": "set", "tags": ["PatientSex", "PatientAge", "StudyInstanceUID"]}
    settings = settings_of(source, group="PatientID", columns=["PatientSex"])
    settings["prompts"]["template"] = "Chest X-ray of a {PatientSex}, appearance type {cluster:words}"
    settings["arms"]["one-caption"] = {"prompts": {"template": "Chest X-ray of a {PatientSex}"}}
    return folder, run(settings, folder)


def test_no_identity_reaches_store_report_log_or_bundle(hospital, tmp_path):
    folder, done = hospital
    bundle = CliRunner().invoke(main, ["--runs", str(folder / "runs"), "export", "--output", str(tmp_path / "bundle")])
    texts = [done.output.encode(), bundle.output.encode()]
    texts += [path.read_bytes() for root in (folder / "runs", tmp_path) for path in root.rglob("*") if path.is_file()]
    assert len(texts) > 50
    assert not [secret for secret in SECRETS if any(secret.encode() in text for text in texts)]


def test_images_of_a_patient_stay_together_and_captions_name_the_tag(hospital):
    import pyarrow.parquet as pq

    folder, _ = hospital
    [dataset] = (folder / "runs" / "store" / "dataset").iterdir()
    sides = pq.read_table(dataset / "images.parquet")["split"].to_pylist()
    metadata = pq.read_table(dataset / "metadata.parquet").to_pydict()
    assert all(len({sides[row] for row in (2 * one, 2 * one + 1)}) == 1 for one in range(12))
    assert sorted(set(metadata["PatientID"])) == [f"{number:05d}" for number in range(1, 13)]
    rows = "".join(path.read_text() for path in (folder / "runs" / "store" / "generation").rglob("metadata.jsonl"))
    assert "Chest X-ray of a M, appearance type" in rows

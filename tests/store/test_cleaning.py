"""Names of patients in what a run says: its log, its journal, the counts of its artifacts."""

import json
import tarfile

from click.testing import CliRunner
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.cli.main import main
from mep.store.cleaning import REFUSED
from mep.store.nameless import GROUP

NAMES = ["Ann", "Ben", "Cai", "Dea", "Eva", "Flo", "Gil", "Hal", "Ian", "Jon"]


def of_patients(folder, **without):
    """A recipe whose images are of patients, one of whom has a single image; `without` leaves a patient out."""
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["patient"] = f"Doe^{NAMES[number // 4]}"
    rows[5] |= without
    (folder / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings = tiny_settings(folder)
    settings["dataset"] |= {"group": "patient", "columns": ["patient"], "near_duplicate_bits": None}
    settings["dataset"]["holdout"]["fraction"] = 0.2
    settings["training"]["base"]["autoencoder"] = {"kind": "pca"}
    settings["balancing"] = {"method": {"kind": "uniform_per_prompt", "min_prompts_per_label": 1}, "by": ["patient"]}
    return write_recipe(folder.with_suffix(".yaml"), settings)


def texts_of(recipe, runs, message):
    """The log, the journal and the manifests of the bundle of a run that ends with a message."""
    mep = ["--runs", str(runs)]
    ended = CliRunner().invoke(main, [*mep, "run", str(recipe)])
    assert message in ended.output
    written = CliRunner().invoke(main, [*mep, "export", "--output", f"{runs}.tar"])
    assert written.exit_code == 0, written.output
    with tarfile.open(f"{runs}.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith((".txt", ".json", ".jsonl"))]
        return {name: archive.extractfile(name).read().decode() for name in names}


def test_what_a_dataset_is_refused_for_stays_at_home(tmp_path):
    recipe = of_patients(draw_imagefolder(tmp_path / "images", n=37), patient=None)
    texts = texts_of(recipe, tmp_path / "runs", "05.png has no patient")
    assert not [name for name, text in texts.items() if "05.png" in text]
    assert f"DataError: {REFUSED}" in texts["run/log.txt"]
    assert '"state": "failed"' in texts["run/journal.jsonl"]


def test_a_bundle_names_no_patient_in_log_journal_and_counts(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("nothing is known of Doe^Ben")

    monkeypatch.setattr("mep.stages.prompts.stage.Prompt", refuse)
    recipe = of_patients(draw_imagefolder(tmp_path / "images", n=37))
    texts = texts_of(recipe, tmp_path / "runs", "nothing is known of Doe^Ben")
    assert not [name for name, text in texts.items() if "Doe^" in text]
    assert f"ValueError: nothing is known of {GROUP}" in texts["run/log.txt"]
    assert f"nothing is known of {GROUP}" in texts["run/journal.jsonl"]
    assert any(f"patient {GROUP} has 1 image: " in text for name, text in texts.items() if "/balancing/" in name)

"""A recipe for images with several findings, from files to its report."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from findings_data import FINDINGS, draw_findings_folder
from sklearn.metrics import roc_auc_score
from small_data import REPOSITORY, SMALL

from mep.cli.main import main
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.sharing.claim.data import reference
from mep.stages.utility.tasks import tasks_of
from mep.store import Store

MORE = [
    *("generation.allocation.images=60", "training.base.text={width: 16, layers: 1, tokens: 64}"),
    *("dataset.near_duplicate_bits=null", "metrics.calibrate=false", "utility.resamples=100"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Stage -> what a run of the recipe has made for its arm `mep`; under `page` its report."""
    root = tmp_path_factory.mktemp("findings")
    (root / "recipes").mkdir()
    path = root / "recipes" / "cxr-findings.yaml"
    shutil.copy(REPOSITORY / "recipes" / path.name, path)
    draw_findings_folder(root / "data" / "cxr-findings", 160)
    settings = [word for setting in [*SMALL, *MORE] for word in ("--set", setting)]
    done = CliRunner().invoke(main, ["--runs", str(root / "runs"), "run", str(path), *settings])
    assert done.exit_code == 0, done.output
    store = Store(root / "runs")
    (run,) = (root / "runs").glob("*-cxr-findings")
    tasks = make_plan(load_recipe(run / "recipe.lock.yaml"), store).of_arm("mep")
    loaded = {name: store.load(task.stage.output, task.artifact_id, task.config) for name, task in tasks.items()}
    return loaded | {"page": (run / "report.html").read_text()}


def areas(made, subject, metric="auroc"):
    rows = [row for row in made["utility"].rows if (row.metric, row.subject) == (metric, subject)]
    return {row.group: row for row in rows}


def test_captions_name_all_findings_and_samples_keep_them(made):
    texts = [prompt.text for prompt in made["prompts"].prompts]
    assert "Chest X-ray with effusion and mass, appearance type one" in texts
    assert "Chest X-ray with no finding, appearance type zero" in texts
    assert {row["label"] for row in made["generation"].rows} <= set(made["dataset"].label_names)


def test_images_count_for_every_finding_that_they_show(made):
    held_out = made["dataset"].held_out
    rows = {row.group: row for row in made["metrics"].rows if row.metric == "kid" and row.group.startswith("label=")}
    assert set(rows) == {f"label={name}" for name in (*FINDINGS, "no finding")}
    counts = [rows[f"label={name}"].counts.n_real_of for name in FINDINGS]
    assert counts == held_out.shown.sum(axis=0).tolist()
    assert sum(counts) > held_out.shown.any(axis=1).sum()  # some show two


def test_every_finding_has_its_auroc_and_the_headline_is_their_mean(made):
    held_out, ceiling, found = made["dataset"].held_out, made["ceiling"], areas(made, "train")
    for place, name in enumerate(FINDINGS):
        (probabilities,) = ceiling.probabilities[name, 1.0]
        area = roc_auc_score(held_out.shown[:, place], probabilities[:, 1])
        assert found[f"label={name}"].estimate.value == pytest.approx(area, abs=1e-12)
        assert found[f"label={name}"].probe.labels == [f"no {name}", name]
    mean = np.mean([found[f"label={name}"].estimate.value for name in FINDINGS])
    assert found["all"].estimate.value == pytest.approx(mean, abs=1e-12)
    assert found["all"].probe.labels == list(FINDINGS)
    gaps = areas(made, "samples", "auroc_gap")
    assert gaps["all"].non_inferiority.statement.startswith("Mean over 3 findings: AUROC ")
    assert gaps["label=mass"].non_inferiority.statement.startswith("mass: AUROC ")
    assert found["label=mass, 10 % real + all synthetic"].training.n_train_real == round(0.1 * ceiling.order.shape[1])


def test_a_sample_is_an_example_of_every_finding_that_its_caption_names(made):
    of_label = made["dataset"].findings.of_label
    listed = [of_label[row["label"]] for row in made["generation"].rows]
    task = next(task for task in tasks_of(made["dataset"]) if task.finding == "mass")
    assert task.of_samples(made["dataset"], made["generation"].rows).tolist() == [
        int("mass" in each) for each in listed
    ]


def test_the_checklist_names_the_findings(made):
    config = SimpleNamespace(dataset=SimpleNamespace(label=None, is_labelled=True))
    shared = SimpleNamespace(arm=SimpleNamespace(get=lambda kind: made["dataset"], experiment=config))
    assert next(reference(shared)) == "Any of the findings effusion, mass and nodule."


def test_the_page_tells_findings_apart(made):
    assert "label=nodule" in made["page"]
    assert "mass: AUROC" in made["page"]

"""What went wrong in the published system between images and prompts, one test a defect, lest it come back."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from small_data import draw_imagefolder, in_memory, tiny_settings, write_recipe

import mep
from mep.artifacts import Clusters, Embeddings, Inliers, Prompt, Prompts, TrainingSet
from mep.artifacts.imagefolder import write_imagefolder
from mep.errors import DataError, RecipeError
from mep.imaging.encoders import Encoder
from mep.machine.work import Work
from mep.methods.balancers import Groups
from mep.methods.balancers.uniform_per_prompt import UniformPerPrompt
from mep.methods.clusterers import ChooseK
from mep.methods.clusterers.kmeans import KMeans
from mep.methods.detectors.hsv import measure_features
from mep.methods.detectors.quantile import Quantile
from mep.methods.embedders.transformers import Transformers
from mep.methods.sources.imagefolder import ImageFolder
from mep.recipe import load_recipe
from mep.sections.clustering import ClusteringConfig
from mep.sections.dataset import DatasetConfig
from mep.sections.outliers import OutliersConfig
from mep.stages.clustering import clustering
from mep.stages.dataset.stage import dataset
from mep.stages.embedding import self_test
from mep.stages.outliers import outliers
from mep.stages.prompts.template import Record, Writer

PLAIN = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": "32x32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_imagefolder(tmp_path_factory.mktemp("defects") / "images")


@pytest.fixture
def images(folder, tmp_path):
    return build(folder, tmp_path)


def build(folder, tmp_path, seed=3, **settings):
    settings = {"label": "label", "group": "slide", "validation": {"fraction": 0.2}} | settings
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=folder), **settings)
    return dataset.function(config, work=Work(folder=tmp_path / f"dataset{seed}", seed=seed))


def scaled(times):
    """An encoder whose preprocessing scales by 1/255 so many times; its vectors are mean colours."""

    def prepare(batch):
        return (np.stack(batch).astype(np.float32) / 255**times - 0.5) / 0.5

    return Encoder(prepare, lambda ready: ready.mean((1, 2)), PLAIN)


def pictures(n=6):
    return list(np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("times", [0, 2])
def test_defect_1_images_scaled_twice_are_never_embedded(times):
    assert self_test(scaled(1), pictures())["spread"] > 0
    with pytest.raises(DataError, match="times the contrast that the model expects"):
        self_test(scaled(times), pictures())


def test_defect_2_any_model_from_any_place_and_of_any_width(tmp_path):
    assert Transformers(kind="transformers", id="lab/encoder").id == "lab/encoder"
    assert Transformers(kind="transformers", path=tmp_path).folder([]) == tmp_path
    assert scaled(1)(pictures()).shape == (6, 3)  # the width is the model's


def test_defect_3_the_effective_preprocessing_is_kept():
    found = self_test(scaled(1), pictures())
    assert (found["mean"], found["std"], found["size"]) == ([0.5] * 3, [0.5] * 3, "32x32")
    assert found["seen_std"] == pytest.approx(found["expected_std"], rel=0.05)


def test_defect_4_importing_the_embedders_touches_no_gpu():
    code = "import sys, mep.methods.embedders.transformers, mep.stages.embedding; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def recipe(folder, tmp_path):
    return write_recipe(tmp_path / "tiny.yaml", tiny_settings(folder))


def test_defect_5_an_override_keeps_its_spaces_and_equals_signs(recipe):
    text = "Histology image of {label} tissue, a = b"
    loaded = load_recipe(recipe, (f"arms.mep.prompts.template={text}",))
    assert loaded.arms["mep"].prompts.template == text


def test_defect_6_sections_with_fields_of_one_name_stay_apart(recipe):
    arm = next(iter(load_recipe(recipe, ("outliers.method=quantile",)).arms.values()))
    assert (arm.outliers.method.kind, arm.clustering.method.kind) == ("quantile", "kmeans")


def test_defect_7_a_path_that_does_not_exist_is_told_before_anything_runs(recipe):
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(recipe, ("dataset.source.path=nowhere",))


def test_defect_8_the_seed_is_a_field(folder, tmp_path):
    assert not np.array_equal(build(folder, tmp_path, 1).splits, build(folder, tmp_path, 2).splits)


def test_defect_9_limits_may_be_the_datasets_own_and_every_removal_says_why(tmp_path):
    dark = [np.clip(one // 8 + 10, 0, 255).astype(np.uint8) for one in pictures(60)]
    dark[7] = dark[7] * 0 + 90
    images = in_memory(dark)
    verdict = Quantile(kind="quantile").inspect(images, np.zeros((60, 1)), np.ones(60, bool), Work(folder=tmp_path))
    assert "mean_v 90 >" in verdict.reasons[7]


def test_defect_10_every_image_is_read_once_for_all_features(tmp_path):
    read, images = [], in_memory(pictures(5))
    source = SimpleNamespace(open=lambda name: read.append(name) or images.source.open(name))
    measure_features(replace(images, source=source), Work(folder=tmp_path))
    assert read == ["0", "1", "2", "3", "4"]


def test_defect_11_outliers_are_known_by_name_and_not_by_place(images, tmp_path):
    vectors = Embeddings(images.seen.ids, np.zeros((len(images.seen), 2), np.float32))
    forth = outliers.function(OutliersConfig(method="quantile"), images, vectors, work=Work(folder=tmp_path / "a"))
    order = np.random.default_rng(0).permutation(len(images))
    back = outliers.function(
        OutliersConfig(method="quantile"), images.take(order), vectors, work=Work(folder=tmp_path / "b")
    )
    assert dict(zip(forth.ids, forth.reasons, strict=True)) == dict(zip(back.ids, back.reasons, strict=True))


def clustered(images, tmp_path, **settings):
    rng = np.random.default_rng(0)
    places = np.arange(len(images.seen)) % 3
    vectors = np.stack([places * 10.0, rng.normal(0, 900, len(places))], 1) + rng.normal(0, 0.1, (len(places), 2))
    embeddings = Embeddings(images.seen.ids, vectors.astype(np.float32))
    keep = Inliers(embeddings.ids, np.ones(len(places), bool), [""] * len(places), {})
    config = ClusteringConfig(resamples=0, **settings)
    return config, embeddings, clustering.function(config, images, embeddings, keep, work=Work(folder=tmp_path))


def test_defect_12_k_is_chosen_on_the_vectors_that_are_clustered(images, tmp_path):
    method = KMeans(kind="kmeans", k=ChooseK(choose=(2, 3, 4)))
    _, _, chosen = clustered(images, tmp_path / "a", method=method, scale="standard")
    k = next(row["k"] for row in chosen.curve if row["chosen"])
    _, _, given = clustered(images, tmp_path / "b", method=KMeans(kind="kmeans", k=k), scale="standard")
    assert np.array_equal(chosen.labels, given.labels)


def test_defect_13_the_fitted_model_is_kept_and_assigns_new_images(images, tmp_path):
    config, embeddings, found = clustered(images, tmp_path, method=KMeans(kind="kmeans", k=3), pca=1)
    (tmp_path / "stored").mkdir()
    found.save(tmp_path / "stored")
    again = Clusters.load(tmp_path / "stored", config)
    assert np.array_equal(config.assign(again, embeddings.vectors), found.labels)


def test_defect_14_a_prompt_keeps_its_name_when_others_come_and_go():
    names = [Record(label, cluster).prompt_id for label in ("healthy", "tumor") for cluster in (0, 1)]
    assert names == ["healthy_c00", "healthy_c01", "tumor_c00", "tumor_c01"]
    assert Record("grade 2", 7, {"sex": "f"}).prompt_id != Record("grade-2", 7, {"sex": "f"}).prompt_id


def test_defect_15_a_cluster_may_have_a_name_that_means_something():
    writer = Writer(["{label} tissue, {cluster:name}"], {}, {0: "dense lymphocytes"})
    assert writer.write(Record("healthy", 0)) == ["healthy tissue, dense lymphocytes"]


@pytest.mark.parametrize("names", [["only"], ["a", "b"], ["in situ", "invasive", "in"], []])
def test_defect_16_any_labels_are_balanced_by_the_record_and_never_by_the_caption(names):
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, max(1, len(names)), 90), rng.integers(0, 3, 90)
    groups = Groups(labels, clusters, names or [""], ["cluster 0", "cluster 1", "cluster 2"])
    rows = UniformPerPrompt(kind="uniform_per_prompt").pick(groups, seed=0).rows
    counts = np.bincount(groups.flat[rows])
    assert len(set(counts[counts > 0].tolist())) == 1
    assert set(labels[rows].tolist()) == set(range(max(1, len(names))))


def test_defect_17_no_word_of_the_template_matters():
    assert Writer(["{cluster:letter}: {label}"], {}, {}).write(Record("x", 1)) == ["b: x"]


def groups_of(sizes):
    """Groups of a table of sizes, (labels, clusters)."""
    pairs = [(label, cluster) for label, row in enumerate(sizes) for cluster, n in enumerate(row) for _ in range(n)]
    outer, inner = np.array(pairs).T
    names = [str(number) for number in range(len(sizes[0]))]
    return Groups(outer, inner, [str(number) for number in range(len(sizes))], names)


def test_defect_18_twenty_images_are_balanced_as_well_as_a_hundred_thousand():
    assert len(UniformPerPrompt(kind="uniform_per_prompt").pick(groups_of([[5, 5], [6, 4]]), seed=0).rows) == 16


def test_defect_19_exactly_the_minimum_is_enough_and_the_share_is_the_one_that_was_asked(folder, tmp_path):
    method = UniformPerPrompt(kind="uniform_per_prompt", min_prompts_per_label=2)
    assert len(method.pick(groups_of([[5, 5], [5, 5]]), seed=0).rows) == 20
    images = build(folder, tmp_path, group=None, holdout={"fraction": 0.35}, validation={"fraction": 0})
    assert images.heldout.sum() == 14


@pytest.mark.parametrize("seed", range(5))
def test_defect_20_no_number_of_prompts_would_keep_more_images(seed):
    sizes = np.random.default_rng(seed).integers(1, 30, (3, 6))
    best = max(p * np.sort(sizes, axis=1)[:, -p].min() * 3 for p in range(1, 7))
    assert len(UniformPerPrompt(kind="uniform_per_prompt").pick(groups_of(sizes.tolist()), seed=0).rows) == best


def test_defect_21_all_three_splits_are_made(images):
    assert min(len(images.train), len(images.validation), len(images.held_out)) > 0


def test_defect_22_images_are_found_from_any_working_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(ImageFolder(kind="imagefolder", path=folder).records()) == 40


@pytest.fixture
def exported(tmp_path):
    """Two images of one name in two folders, written as an imagefolder."""
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), "red" if name[0] == "a" else "blue").save(tmp_path / "in" / name)
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=tmp_path / "in"), holdout={"fraction": 0.5})
    found = dataset.function(config, work=Work(folder=tmp_path / "w"))
    found = replace(found, splits=np.zeros(2, np.int8), labels=np.arange(2), label_names=["a", "b"])
    chosen = TrainingSet(found.ids, ["a", "b"], np.zeros(2, int), np.ones(2), [])
    prompts = Prompts(
        [Prompt("a", "[A], red", "a", None, 1), Prompt("b", "b", "b", None, 1)], {"a/1.png": 0, "b/1.png": 1}
    )
    write_imagefolder(found, chosen, prompts, tmp_path / "out")
    return found, tmp_path / "out" / "train"


def test_defect_23_two_files_of_one_name_stay_two(exported):
    images, out = exported
    assert images.ids == ["a/1.png", "b/1.png"]
    assert len({path.read_bytes() for path in out.rglob("*.png")}) == 2


def test_defect_24_and_29_the_label_is_a_column_and_brackets_stay_in_captions(exported):
    rows = [json.loads(line) for line in (exported[1] / "metadata.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["a", "b"]
    assert rows[0]["text"] == "[A], red"


def test_defect_25_labels_keep_their_case(folder, tmp_path):
    text = (folder / "metadata.jsonl").read_text().replace('"cancer"', '"BRAF"')
    other = tmp_path / "images"
    other.mkdir()
    for path in folder.glob("*.png"):
        (other / path.name).symlink_to(path)
    (other / "metadata.jsonl").write_text(text)
    images = build(other, tmp_path)
    assert images.label_names == ["BRAF", "healthy"]
    assert Writer(["{label:lower}"], {}, {}).write(Record("BRAF")) == ["braf"]


def test_defect_26_no_absolute_path_is_stored(images, folder, tmp_path):
    (tmp_path / "stored").mkdir()
    images.save(tmp_path / "stored")
    assert not any(str(folder).encode() in path.read_bytes() for path in (tmp_path / "stored").iterdir())


def test_defect_27_the_images_of_a_slide_lie_on_one_side(images):
    sides = set(zip(images.metadata["slide"], images.splits.tolist(), strict=True))
    assert len(sides) == len(set(images.metadata["slide"]))


def test_defect_28_no_safeguard_of_a_library_is_switched_off():
    code = "\n".join(path.read_text() for path in Path(mep.__file__).parent.rglob("*.py"))
    assert not any(
        word in code for word in ("PyExtensionType", "pyarrow_hotfix", "allow_pickle=True", "weights_only=False")
    )
    assert "trust_remote_code=True" not in code

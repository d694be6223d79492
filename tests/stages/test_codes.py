"""Hierarchical and soft codes: from vectors to captions."""

from dataclasses import replace

import numpy as np
import pytest
from planted import NESTED, nested
from small_data import draw_imagefolder, tiny_settings, write_recipe
from tiny_base import base_that_reads

from mep.artifacts import TRAIN, VALIDATION, Clusters, Embeddings, Images, Inliers, TrainingSet
from mep.errors import RecipeError
from mep.machine.work import Work
from mep.recipe import load_recipe
from mep.sections.balancing import BalancingConfig
from mep.sections.clustering import ClusteringConfig
from mep.sections.prompts import PromptsConfig
from mep.stages.balancing import balancing
from mep.stages.clustering import clustering
from mep.stages.prompts.stage import prompts
from mep.stages.prompts.template import Record, Writer


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_that_reads(tmp_path_factory.mktemp("base"), 40)


def images_of(vectors, n_aside=0):
    n = len(vectors)
    splits = np.full(n, TRAIN, np.int8)
    splits[n - n_aside :] = VALIDATION
    ids = [f"{row:03d}" for row in range(n)]
    return Images(ids, np.full(n, -1), [], splits, [""] * n, np.ones((n, 2), int), {}, source=None)


def clustered(vectors, folder, n_aside=0, **settings):
    """The clusters and a training set of all images, both read again from their folders."""
    images, config = images_of(vectors, n_aside), ClusteringConfig(resamples=0, **settings)
    kept = Inliers(images.ids, np.ones(len(vectors), bool), [""] * len(vectors), {})
    work = Work(folder / "clustering", seed=3)
    found = clustering.function(config, images, Embeddings(images.ids, vectors), kept, work=work)
    found.save(work.out)
    found = Clusters.load(work.out, config)
    plain = BalancingConfig(method={"kind": "none"})
    chosen = balancing.function(plain, images, found, work=Work(folder / "balancing"))
    (folder / "set").mkdir()
    chosen.save(folder / "set")
    return images, found, TrainingSet.load(folder / "set", plain)


def captions(images, training_set, base, folder, template, **settings):
    config = PromptsConfig(template=template, **settings)
    made = prompts.function(config, images, training_set, base, work=Work(folder / "prompts"))
    return made, {image_id: made.prompts[place].text for image_id, place in made.of_image.items()}


def test_coarse_and_fine_stand_in_captions_and_either_is_the_planted_group(base, tmp_path):
    vectors, coarse, groups = nested()
    images, found, chosen = clustered(vectors, tmp_path, n_aside=0, method={"kind": "hierarchical", **NESTED})
    made, texts = captions(images, chosen, base, tmp_path, "type {coarse:words}, {fine:letter}")
    assert len(made.prompts) == 6
    assert len({(group, texts[image_id]) for image_id, group in zip(images.ids, groups, strict=True)}) == 6
    assert {prompt.cluster for prompt in made.prompts} == set(range(6))  # generated ones are looked for in theirs
    assert {text.split(", ")[1] for text in texts.values()} == {"a", "b", "c"}
    outer, texts = captions(images, chosen, base, tmp_path, "type {coarse:words}")
    assert [prompt.id for prompt in outer.prompts] == ["coarse-0", "coarse-1"]
    assert len({(group, texts[image_id]) for image_id, group in zip(images.ids, coarse, strict=True)}) == 2
    others, _, expected = nested(seed=5)
    assert len(set(zip(found.assign(others).tolist(), expected.tolist(), strict=True))) == 6


def test_codes_keep_their_numbers_where_those_of_an_earlier_clustering_are_taken(tmp_path):
    vectors, _, _ = nested()
    method = {"kind": "hierarchical", **NESTED}
    _, first, _ = clustered(vectors[:220], tmp_path, method=method)  # 120 in the one coarse cluster, 100 in the other
    (tmp_path / "again").mkdir()
    swapped = np.concatenate([vectors[120:220], vectors[120:220] + 0.01, vectors[:120]]).astype(np.float32)
    images = images_of(swapped)
    ids = [*[f"{row:03d}" for row in range(120, 220)], *[f"n{row:03d}" for row in range(100)], *images.ids[:120]]
    images = replace(images, ids=ids)  # the other is now the larger one
    config = ClusteringConfig(method=method, resamples=0, ids_from=tmp_path / "clustering" / "out")
    kept = Inliers(ids, np.ones(320, bool), [""] * 320, {})
    again = clustering.function(config, images, Embeddings(ids, swapped), kept, work=Work(tmp_path / "again"))
    before = dict(zip(first.ids, first.labels.tolist(), strict=True))
    for image_id, label in zip(again.ids, again.labels.tolist(), strict=True):
        if image_id in before:
            assert again.codes[label] == first.codes[before[image_id]]


def test_a_second_cluster_is_said_of_images_between_two_and_of_no_others(base, tmp_path):
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(4, 1, (200, 1)), [[2.0], [2.05], [-1], [5]]])
    vectors = vectors.astype(np.float32)
    settings = {"method": {"kind": "gmm", "k": 2}, "second": 0.2}
    images, found, chosen = clustered(vectors, tmp_path, n_aside=4, **settings)
    template = "type {cluster:words}[ and some {second:words}]"
    made, texts = captions(images, chosen, base, tmp_path, template)
    between = np.where(vectors[:500, 0] < 2, vectors[:500, 0], 4 - vectors[:500, 0])
    # 0.6 N(0, 1) : 0.4 N(4, 1): the log odds are 4 (2 - x) + log 1.5, and of 0.2 against 0.8 they are log 4
    for image_id, x in zip(images.ids, vectors[:, 0].tolist(), strict=True):
        odds = 4 * (2 - x) + np.log(1.5)
        if abs(abs(odds) - np.log(4)) > 0.5:  # as exactly as 500 images tell the mixture
            expected = ("zero", "one") if odds > 0 else ("one", "zero")
            says = f"type {expected[0]}" + (f" and some {expected[1]}" if abs(odds) < np.log(4) else "")
            assert texts[image_id] == says
    assert (between > 1.8).any()
    assert {prompt.id for prompt in made.prompts} == {"c00", "c00_second-1", "c01", "c01_second-0"}
    assert found.second[:500].max() == 1
    hard = [prompt.text for prompt in captions(images, chosen, base, tmp_path, "type {cluster:words}")[0].prompts]
    assert hard == ["type zero", "type one"]
    dealt, _ = captions(images, chosen, base, tmp_path, template, permute="cluster")  # clusters with their seconds
    counts = [{prompt.text: prompt.n_images for prompt in one.prompts} for one in (made, dealt)]
    assert counts[0] == counts[1]
    assert dealt.n_renamed > 100


def test_brackets_without_a_second_cluster_are_text_and_names_go_for_the_second_too():
    soft = Writer(["{cluster:name}[, {second:name}] [x]"], {}, {0: "gland", 1: "fat"}, soft=True)
    assert soft.write(Record(None, 0, {"second": "1"})) == ["gland, fat [x]"]
    assert soft.write(Record(None, 1)) == ["fat [x]"]
    assert Writer(["[{second}]"], {}, {}).write(Record(None, None, {"second": "left"})) == ["[left]"]  # a column


HIERARCHICAL = {"method": {"kind": "hierarchical", **NESTED}}
SOFT = {"method": {"kind": "kmeans", "k": 2}, "second": 0.2}


@pytest.mark.parametrize(
    ("template", "settings", "columns", "message"),
    [
        ("{coarse}", {"method": {"kind": "kmeans", "k": 2}}, [], "clusters of kind 'kmeans' lie in no coarse ones"),
        ("{fine}", HIERARCHICAL, [], "names {fine}, which counts within {coarse}"),
        ("{coarse} {fine}", HIERARCHICAL, ["fine"], "{fine} is a slot and a column of the dataset"),
        ("{cluster}[ {second}]", {"method": {"kind": "kmeans", "k": 2}}, [], "clustering.second is not set"),
        ("{cluster} {second}", SOFT, [], "{second} has to stand in brackets"),
        ("{cluster}", SOFT | {"method": {"kind": "none"}}, [], "clusters of kind 'none' do not say how probable"),
    ],
)
def test_a_template_that_asks_for_what_clusters_do_not_give_is_told(tmp_path, template, settings, columns, message):
    recipe = tiny_settings(draw_imagefolder(tmp_path / "images", n=4))
    recipe |= {"clustering": settings, "prompts": {"template": template}}
    recipe["dataset"]["columns"] = columns
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path / "recipe.yaml", recipe))
    assert message in " ".join(mistake.message for mistake in caught.value.mistakes)


def test_recipes_without_these_parts_keep_their_fingerprints():
    plain = ClusteringConfig(method={"kind": "kmeans", "k": 2})
    assert "second" not in plain.dump()
    assert ClusteringConfig(**SOFT).dump()["second"] == 0.2


@pytest.mark.parametrize("kind", ["leiden", "gmm"])
def test_second_clusters_need_no_validation_images(tmp_path, kind):
    vectors, _, _ = nested()
    settings = {"neighbours": 15} if kind == "leiden" else {"k": 6}
    _, found, chosen = clustered(vectors, tmp_path, method={"kind": kind, **settings}, second=0.2)
    assert found.second.shape == chosen.seconds.shape == (240,)
    assert (found.second != found.labels).all()

"""Rows of numbers: what stands beside each, what a small group says, and what the stages make of real folders."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from machines import machine
from PIL import Image
from small_data import QUICK_FEATURES, draw

from mep.artifacts import HELDOUT, TRAIN, Assignment, Clusters, Embeddings, Images, References, Samples, TrainingSet
from mep.artifacts.score_row import COLUMNS, ScoreProtocol
from mep.errors import DataError
from mep.evaluation.evaluate import evaluate
from mep.evaluation.features import features_of
from mep.evaluation.groups import GroupKeys, evaluate_groups
from mep.evaluation.measurement import jackknife_error
from mep.evaluation.space import Space
from mep.evaluation.uncertainty import EvaluationSettings
from mep.machine.work import Work
from mep.methods.embedders.handcrafted import Handcrafted
from mep.methods.extractors import Network
from mep.methods.extractors.random_conv import RandomConv
from mep.methods.scores.adherence import Adherence, agreement, chance, confusion
from mep.methods.scores.frechet import Frechet, frechet_distance
from mep.methods.scores.kid import Kid
from mep.methods.scores.memorisation import Memorisation
from mep.methods.scores.prdc import Prdc
from mep.sections.clustering import ClusteringConfig
from mep.sections.embedding import EmbeddingConfig
from mep.sections.metrics import MetricsConfig
from mep.stages import heldout as heldout_module
from mep.stages.assignment import assignment
from mep.stages.metrics import metrics as metrics_stage

SCORES = [Frechet(kind="frechet"), Kid(kind="kid"), Prdc(kind="prdc"), Memorisation(kind="memorisation")]
PROTOCOL = ScoreProtocol("drawn", "d", d=4, preprocessing="none", eval_resolution=32)


def normal(seed, n, d=4, shift=0.0):
    return np.random.default_rng(seed).normal(shift, size=(n, d)).astype(np.float32)


def space(n=120, m=100, d=4, shift=0.3, **fields):
    return Space(replace(PROTOCOL, d=d), normal(0, n, d), {"samples": normal(1, m, d, shift)}, **fields)


def json_rows(scores):
    return [row.to_json() for row in scores.rows]


def find(rows, metric, **wanted):
    wanted = {"subject": "samples", "reference": "heldout", "group": "all"} | wanted
    wanted["metric"] = metric
    (scored,) = [scored for scored in rows if wanted.items() <= scored.row.to_json().items()]
    return scored


@pytest.fixture(scope="module")
def rows():
    return evaluate(space(train=normal(2, 300)), SCORES, EvaluationSettings(0, 20))


# --- Rows -------------------------------------------------------------------------------------------------------


def test_every_row_says_everything_in_one_order(rows):
    assert all(tuple(row.row.to_json()) == COLUMNS for row in rows)
    json.dumps([row.row.to_json() for row in rows], allow_nan=False)
    assert all(row.halves.shape == (10, 2) for row in rows)


def test_sets_are_brought_to_one_size_and_the_row_says_what_there_was(rows):
    fields = find(rows, "fd").row.to_json()
    assert (fields["n_real"], fields["n_fake"], fields["n_real_of"], fields["n_fake_of"]) == (100, 100, 120, 100)
    assert find(rows, "fd", reference="train").row.counts.n_real == 100
    fewer = evaluate(space(), SCORES[:1], EvaluationSettings(0, 0), most=50)
    assert find(fewer, "fd").row.counts.n_real == 50


def test_an_interval_is_two_errors_around_the_value(rows):
    # 2.262 is the quantile of Student's t of nine degrees: ten pairs of halves
    fields = find(rows, "fd").row.to_json()
    assert fields["low"] == pytest.approx(fields["value"] - 2.262 * fields["se"], rel=1e-3)
    assert fields["method"] == "10 pairs of halves"
    assert find(rows, "kid").row.estimate.method == "closed form, image by image"
    assert find(evaluate(space(), SCORES[:1], EvaluationSettings(0, 0)), "fd").row.estimate.se is None


def test_what_real_images_reach_stands_beside_and_is_taken_off(rows):
    fields, null, excess = (find(rows, name).row.to_json() for name in ("fd", "fd_null", "fd_excess"))
    assert null["value"] == fields["null"] > 0
    assert excess["value"] == pytest.approx(fields["value"] - null["value"])
    assert excess["se"] == fields["se"]
    # real training images in the place of the samples exceed it by what chance allows
    training = find(rows, "fd_excess", subject="train").row.to_json()
    assert abs(training["value"]) < 3 * training["se"]
    assert find(rows, "density").row.null.value == 1


def test_the_gap_is_held_out_minus_training_on_the_same_samples(rows):
    far, near, gap = find(rows, "fd"), find(rows, "fd", reference="train"), find(rows, "fd_gap")
    assert gap.row.estimate.value == pytest.approx(far.row.estimate.value - near.row.estimate.value)
    assert gap.halves == pytest.approx(far.halves - near.halves)


def test_a_model_that_copies_its_training_images_shows_in_the_gap_and_the_copy_rate():
    train = normal(2, 300)
    copied = Space(PROTOCOL, normal(0, 120), {"samples": train[:120] + 0.01}, train=train)
    rows = evaluate(copied, SCORES, EvaluationSettings(0, 20))
    assert find(rows, "copy_rate", reference="train").row.estimate.value > 0.9
    assert find(rows, "ct", reference="train").row.estimate.value < -5
    generalised = evaluate(space(shift=0.0, train=train), SCORES, EvaluationSettings(0, 20))
    assert find(generalised, "copy_rate", reference="train").row.estimate.value < 0.1


def test_two_arms_share_the_real_images_and_their_halves():
    one, other = (evaluate(space(shift=shift), SCORES[:1], EvaluationSettings(3, 20)) for shift in (0.3, 0.3))
    assert np.array_equal(find(one, "fd").halves, find(other, "fd").halves)
    moved = evaluate(space(shift=0.6), SCORES[:1], EvaluationSettings(4, 20))
    assert not np.array_equal(find(one, "fd").halves, find(moved, "fd").halves)


def test_slides_widen_the_interval_and_are_counted():
    slides = np.repeat(np.arange(12), 10)
    shifted = Space(PROTOCOL, normal(0, 120) + normal(5, 12)[slides], {"samples": normal(1, 120)})
    known = Space(PROTOCOL, shifted.real, shifted.fakes, groups=slides)
    blind, aware = (
        find(evaluate(one, SCORES[:2], EvaluationSettings(0, 40)), "kid").row.to_json() for one in (shifted, known)
    )
    assert aware["n_groups"] == 12
    assert aware["method"].endswith("of whole slides or patients")
    assert aware["se"] > 1.5 * blind["se"]
    few = find(
        evaluate(
            Space(PROTOCOL, shifted.real, shifted.fakes, groups=slides // 3), SCORES[:2], EvaluationSettings(0, 40)
        ),
        "kid",
    )
    assert "few_groups" in few.row.flags


def test_a_score_that_cannot_be_has_a_reason_and_the_others_their_numbers():
    rows = evaluate(space(n=15, m=15), SCORES, EvaluationSettings(0, 20))
    memorised = find(rows, "copy_rate", reference="train").row.to_json()
    assert (memorised["value"], memorised["reason"]) == (None, "there are no training images to compare with")
    assert find(rows, "fd").row.estimate.value is not None
    wide = evaluate(space(n=15, m=15, d=30), SCORES[:1], EvaluationSettings(0, 0))
    assert "do not tell what 15 against 15" in find(wide, "fd_null").row.reason
    assert find(wide, "fd_excess").row.estimate.value is None
    assert "rank_deficient" in find(wide, "fd").row.flags


def test_an_extractor_may_give_a_metric_the_name_that_papers_use():
    named = space(metric_name=lambda metric, n, settings: "fid" if metric == "fd" and n >= 100 else metric)
    rows = evaluate(named, SCORES[:1], EvaluationSettings(0, 0))
    assert find(rows, "fid").row.estimate.value > 0
    assert find(evaluate(named, SCORES[:1], EvaluationSettings(0, 0), most=99), "fd").row.estimate.value > 0


# --- Groups -----------------------------------------------------------------------------------------------------


def keys(n, names):
    return [names[row % len(names)] for row in range(n)]


def test_what_is_right_as_a_whole_and_wrong_in_each_part_is_seen_in_the_parts():
    # two labels, apart by 4; generated images have them exchanged
    of_real, of_fake = keys(200, "ab"), keys(200, "ba")
    real, fake = normal(0, 200), normal(1, 200)
    real[np.array(of_real) == "b"] += 4
    fake[np.array(of_fake) == "a"] += 4
    both = Space(PROTOCOL, real, {"samples": fake})
    whole = find(evaluate(both, SCORES[:1], EvaluationSettings(0, 0)), "fd").row.estimate.value
    parts = evaluate_groups(both, SCORES[:1], "label", GroupKeys.of_one(of_real, of_fake), EvaluationSettings(0, 0))
    assert whole < 1
    assert find(parts, "fd", group="label:macro").row.estimate.value == pytest.approx(4 * 4**2, rel=0.2)


def test_aggregates_are_the_mean_the_mean_by_real_frequency_and_the_worst():
    of_real, of_fake = ["a"] * 90 + ["b"] * 30, ["a"] * 50 + ["b"] * 50
    parts = evaluate_groups(
        space(), SCORES[2:3], "label", GroupKeys.of_one(of_real, of_fake), EvaluationSettings(0, 10)
    )
    a, b = (find(parts, "density", group=f"label={name}").row.estimate.value for name in "ab")
    assert find(parts, "density", group="label:macro").row.estimate.value == pytest.approx((a + b) / 2)
    assert find(parts, "density", group="label:weighted").row.estimate.value == pytest.approx(0.75 * a + 0.25 * b)
    assert find(parts, "density", group="label:worst").row.estimate.value == min(a, b)
    assert find(parts, "density", group="label=b").row.counts.n_real == 30
    halves = [find(parts, "density", group=f"label={name}").halves for name in "ab"]
    assert find(parts, "density", group="label:macro").halves == pytest.approx(np.mean(halves, axis=0))


def test_an_image_is_in_all_its_groups_and_their_mean_takes_them_to_err_together():
    both = [["a"]] * 40 + [["a", "b"]] * 40 + [["b"]] * 20
    found = evaluate_groups(space(100, 100), SCORES[2:3], "label", GroupKeys(both, both), EvaluationSettings(0, 10))
    a, b, macro = (find(found, "density", group=f"label{name}") for name in ("=a", "=b", ":macro"))
    assert (a.row.counts.n_real_of, b.row.counts.n_real_of) == (80, 60)
    assert macro.row.estimate.value == pytest.approx((a.row.estimate.value + b.row.estimate.value) / 2)
    apart = np.mean([a.halves, b.halves], axis=0)  # drawn apart, these spread too little by the root of two
    assert macro.row.estimate.se == pytest.approx(np.sqrt(2) * jackknife_error(apart))
    assert macro.row.estimate.method == "5 pairs of halves, of groups that overlap"


def test_a_group_that_is_too_small_has_no_number_and_is_left_out_of_the_mean():
    of_real, of_fake = ["a"] * 114 + ["b"] * 6, keys(100, "ab")
    parts = evaluate_groups(space(), SCORES[2:3], "label", GroupKeys.of_one(of_real, of_fake), EvaluationSettings(0, 0))
    small, macro = (find(parts, "recall", group=group).row.to_json() for group in ("label=b", "label:macro"))
    assert small["value"] is None
    assert small["reason"] == "6 held-out and 50 generated images, at least 11 of each are needed"
    assert macro["value"] == find(parts, "recall", group="label=a").row.estimate.value
    assert macro["reason"] == "1 of 2 groups are too small and left out"
    assert macro["flags"] == ["groups_left_out"]


def test_a_wide_space_is_narrowed_for_the_frechet_distance_of_groups_and_the_metric_says_so():
    wide = space(n=300, m=300, d=80)
    parts = evaluate_groups(
        wide, SCORES[:1], "label", GroupKeys.of_one(keys(300, "ab"), keys(300, "ab")), EvaluationSettings(0, 0)
    )
    found = find(parts, "fd_pca64", group="label=a").row.to_json()
    assert (found["d"], found["n_real"]) == (64, 150)
    assert "64 principal components" in found["preprocessing"]
    assert find(parts, "fd_pca64", group="label:macro").row.estimate.value > 0
    narrow = evaluate_groups(
        space(), SCORES[:1], "label", GroupKeys.of_one(keys(120, "ab"), keys(100, "ab")), EvaluationSettings(0, 0)
    )
    assert find(narrow, "fd", group="label=b").row.estimate.value > 0


# --- Adherence --------------------------------------------------------------------------------------------------


def test_adherence_is_the_share_that_shows_what_was_asked_beside_chance():
    # asked for clusters 0 0 1 1, shown 0 1 1 1; by chance (2·1 + 2·3) / 16
    assigned = np.array([[0, 0, -1, -1], [0, 1, -1, -1], [1, 1, -1, -1], [1, 1, -1, -1]])
    assert agreement(assigned, 0) == 0.75
    assert chance(assigned, 0) == 0.5
    assert agreement(assigned, 2) is None
    assert Adherence(kind="adherence").measure(assigned, assigned) == {"cluster_adherence": 0.75}
    with pytest.raises(DataError, match="name neither cluster nor label"):
        Adherence(kind="adherence").measure(assigned, np.full((3, 4), -1))


def test_the_confusion_counts_what_was_asked_by_what_is_shown():
    assigned = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, -1, 0, 0], [-1, 1, 0, 0]])
    assert confusion(assigned, 0, 2).tolist() == [[1, 1, 0], [0, 0, 1]]


# --- The stages -------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    """Forty real images of two colours, their clusters, and twenty samples of which four have the other colour."""
    rng = np.random.default_rng(0)
    pictures = {f"{n:02d}": draw(rng, n % 2 == 0) for n in range(60)}
    source = SimpleNamespace(open=lambda name: Image.fromarray(pictures[name]))
    splits = np.where(np.arange(60) < 30, TRAIN, HELDOUT).astype(np.int8)
    sizes, labels = np.full((60, 2), 32), (np.arange(60) % 2).astype(np.int64)
    slides = {"slide": [n // 3 for n in range(60)]}
    images = Images([*pictures], labels, ["brown", "blue"], splits, ["0"] * 60, sizes, slides, source, "slide")
    embed = Handcrafted(kind="handcrafted")
    vectors = embed.load("cpu")([pictures[name] for name in images.train.ids])
    method = ClusteringConfig(method={"kind": "kmeans", "k": 2})
    fitted = method.method.fit(vectors, seed=0)
    state = fitted.state | {"rank": np.arange(2)}
    clusters = Clusters(images.train.ids, fitted.labels, fitted.distances, state, assigner=method)
    folder = tmp_path / "samples"
    folder.mkdir()
    of_brown = int(fitted.labels[0])
    with (folder / "metadata.jsonl").open("w") as file:
        for n in range(20):
            asked_brown = n % 2 == 0
            Image.fromarray(draw(rng, asked_brown if n >= 4 else not asked_brown)).save(folder / f"{n:02d}.png")
            cluster = of_brown if asked_brown else 1 - of_brown
            row = {"file_name": f"{n:02d}.png", "text": "x", "label": "brown" if asked_brown else "blue"}
            file.write(json.dumps(row | {"cluster": cluster, "prompt_id": f"p{cluster}", "ordinal": n}) + "\n")
    return SimpleNamespace(images=images, embed=embed, vectors=vectors, clusters=clusters, samples=Samples(folder))


@pytest.fixture
def assigned(world, tmp_path, monkeypatch):
    """The stage on that world, with an autoencoder that loses nothing."""
    monkeypatch.setattr(heldout_module, "reconstructor", lambda base, device: lambda pixels: pixels)
    config, base = EmbeddingConfig(model=world.embed), SimpleNamespace(resolution=32, pipeline=tmp_path)
    real = heldout_module.heldout.function(config, world.images, base, work=Work(tmp_path / "real"))
    return assignment.function(
        config,
        world.images,
        Embeddings(world.images.train.ids, world.vectors, config.load("cpu").about),
        world.clusters,
        real,
        base,
        world.samples,
        work=Work(tmp_path / "work"),
    )


def test_samples_are_assigned_by_the_embedder_and_clusterer_of_the_captions(assigned):
    found = Adherence(kind="adherence").measure(assigned.parts["heldout"], assigned.parts["samples"])
    assert found == {"cluster_adherence": 0.8, "label_adherence": 0.8}  # 16 of 20 have the colour that was asked for
    real = Adherence(kind="adherence").measure(assigned.parts["heldout"], assigned.parts["heldout"])
    assert real == {"cluster_adherence": 1.0, "label_adherence": 1.0}
    assert len(assigned.ids["heldout"]) == 30


def trained_on(world):
    """All training images, balanced by label and cluster."""
    train, clusters = world.images.train, world.clusters.labels
    labels = [train.label_of(row) for row in range(len(train))]
    return TrainingSet(train.ids, labels, clusters, np.ones(len(train)), [], balanced_by=("label", "cluster"))


def score(world, assigned, tmp_path, samples=None, **config):
    extract = RandomConv(kind="random_conv").load("cpu")
    parts = {"heldout": world.images.held_out, "train": world.images.train}
    sets = {name: np.concatenate([extract(part.read(row)[None]) for row in range(len(part))]) for name, part in
            parts.items()}  # fmt: skip
    tables = {
        name: {"id": part.ids, "label": [part.label_of(row) for row in range(len(part))], "group": part.groups.tolist()}
        for name, part in parts.items()
    }
    protocol = {"extractor": "random_conv", "digest": "d", "d": 64, "preprocessing": "none", "eval_resolution": 32}
    references = References({"random_conv": sets | {"floor": sets["heldout"]}}, {"random_conv": protocol}, tables)
    return metrics_stage.function(
        MetricsConfig(**({"halves": 4, "extractors": [QUICK_FEATURES]} | config)),
        references,
        trained_on(world),
        assigned,
        samples or world.samples,
        work=Work(tmp_path / "metrics"),
    )


def test_the_stage_scores_subjects_groups_copies_and_adherence(world, assigned, tmp_path):
    found = score(world, assigned, tmp_path)
    rows = {(row["subject"], row["metric"], row["reference"], row["group"]): row for row in json_rows(found)}
    assert len(rows) == len(found.rows) == len(found.halves)
    assert rows["floor", "fd", "heldout", "all"]["value"] == pytest.approx(0, abs=1e-6)
    assert rows["samples", "fd", "heldout", "all"]["n_groups"] > 1
    adherence = rows["samples", "cluster_adherence", "heldout", "all"]
    assert (adherence["value"], adherence["null"]) == (0.8, pytest.approx(0.5, abs=0.02))
    assert rows["heldout", "cluster_adherence", "heldout", "all"]["value"] == 1.0
    assert rows["samples", "kid", "heldout", "label=brown"]["n_fake"] == 10
    assert {"cluster:macro", "prompt:worst", "label:weighted"} <= {row.group for row in found.rows}
    assert len(found.features["random_conv"]) == 20
    pairs = found.closest["random_conv"]
    assert len(pairs) == 20
    assert set(pairs[0]) == {"file_name", "train", "distance", "ratio"}
    assert pairs[0]["train"] in world.images.train.ids


def test_adherence_is_told_for_every_label_cluster_and_prompt(world, assigned, tmp_path):
    rows = {(row["metric"], row["group"]): row for row in json_rows(score(world, assigned, tmp_path))}
    # the first four of twenty show the other colour, two of each: of ten that ask for brown eight are brown, and of
    # all twenty ten are, so that a caption which means nothing reaches a half
    for group in ("label=brown", "label=blue", "cluster=00", "cluster=01", "prompt=p0"):
        for metric in ("label_adherence", "cluster_adherence"):
            row = rows[metric, group]
            assert (row["value"], row["null"], row["n_fake"]) == (0.8, pytest.approx(0.5), 10), (metric, group)
    fewer = rows_of_groups(score(world, assigned, tmp_path / "again", groups=["label"]))
    assert fewer == {"all", "label=brown", "label=blue"}


def rows_of_groups(scores):
    return {row["group"] for row in json_rows(scores) if row["metric"] == "label_adherence"}


def test_what_a_part_would_reach_by_chance_depends_on_what_all_samples_show():
    # asked for 0 0 1 1, shown 0 0 0 1: of those that ask for 1 a quarter would be right by chance
    assigned = np.array([[0, 0], [0, 0], [1, 0], [1, 1]])
    assert chance(assigned[2:], 0, assigned) == 0.25
    assert chance(assigned[:2], 0, assigned) == 0.75


def test_held_out_images_in_the_mix_of_the_samples_are_a_reference_of_their_own(world, assigned, tmp_path):
    found = score(world, assigned, tmp_path)
    (kid,) = [row for row in found.rows if (row.metric, row.subject, row.reference) == ("kid", "samples", "matched")]
    assert kid.matching.matched_by == ["label", "cluster"]
    assert kid.matching.total_variation <= 0.05
    real = np.concatenate(
        [
            RandomConv(kind="random_conv").load("cpu")(world.images.held_out.read(row)[None])
            for row in found.matched["heldout"]
        ]
    )
    made = found.features["random_conv"][found.matched["samples"]]
    assert kid.estimate.value == pytest.approx(Kid(kind="kid").measure(real, made)["kid"], rel=1e-3)


def test_captions_without_clusters_are_held_against_the_same_images(world, assigned, tmp_path):
    """Both arms were trained on the same images; only one of them names clusters."""
    rows = [json.loads(line) for line in (world.samples.folder / "metadata.jsonl").read_text().splitlines()]
    plain = tmp_path / "plain"
    plain.mkdir()
    for row in rows:
        (plain / row["file_name"]).symlink_to(world.samples.folder / row["file_name"])
    (plain / "metadata.jsonl").write_text("\n".join(json.dumps(row | {"cluster": None}) for row in rows) + "\n")
    (tmp_path / "other").mkdir()
    both = (
        score(world, assigned, tmp_path, groups=()),
        score(world, assigned, tmp_path / "other", Samples(plain), groups=()),
    )
    one, other = ({row.matching.matched_images for row in found.rows if row.reference == "matched"} for found in both)
    assert one == other
    assert len(one) == 1


def test_every_row_says_what_real_images_reach_or_why_nobody_knows_and_where_it_was_measured(world, assigned, tmp_path):
    rows = json_rows(score(world, assigned, tmp_path))
    assert [row["metric"] for row in rows if row["null"] is None and not row["null_reason"]] == []
    known = {(row["subject"], row["metric"], row["reference"], row["group"]): row for row in rows}
    of_train, of_samples = (known[subject, "precision", "heldout", "all"] for subject in ("train", "samples"))
    assert of_samples["null"] == of_train["value"]
    assert known["samples", "kid_gap", "heldout", "all"]["null"] == 0.0
    few = known["samples", "kid", "heldout", "label=brown"]
    assert few["value"] is None
    assert few["reason"] == "15 held-out and 10 generated images, at least 11 of each are needed"
    sure = known["heldout", "cluster_adherence", "heldout", "all"]
    assert (sure["value"], sure["se"], sure["flags"]) == (1.0, None, ["no_spread"])
    adherence = known["samples", "cluster_adherence", "heldout", "all"]
    assert adherence["preprocessing"] == "of the embedder, view rgb"
    assert adherence["resize"].endswith("@32; bicubic @64x64")
    assert (adherence["eval_resolution"], adherence["d"], adherence["dtype"]) == (32, 78, "float32")


def test_captions_without_clusters_have_an_honest_gap(world, assigned, tmp_path):
    path = world.samples.folder / "metadata.jsonl"
    lines = [json.loads(line) | {"cluster": None, "prompt_id": "all"} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    asked = np.column_stack([np.full(20, -1), assigned.parts["samples"][:, 1:]])
    bare = Assignment(assigned.ids, assigned.parts | {"samples": asked}, 2, ["brown", "blue"], assigned.protocol)
    rows = {(row["subject"], row["metric"], row["group"]): row for row in json_rows(score(world, bare, tmp_path))}
    missing = rows["samples", "cluster_adherence", "all"]
    assert (missing["value"], missing["reason"]) == (None, "the captions of these samples name no cluster")
    assert rows["samples", "label_adherence", "all"]["value"] == 0.8
    assert not any(group.startswith("cluster=") for _, _, group in rows)


def test_generated_images_in_other_files_than_real_ones_are_flagged(world, assigned, tmp_path):
    world.images.ids[:] = [f"{name}.jpg" for name in world.images.ids]
    world.images.source.open = lambda name, read=world.images.source.open: read(name.removesuffix(".jpg"))
    rows = json_rows(score(world, assigned, tmp_path, scores=["kid"], groups=[]))
    assert rows[0]["image_format"] == {"real": "jpeg", "fake": "png"}
    assert "unlike_formats" in rows[0]["flags"]


def test_two_scores_of_one_metric_are_refused():
    with pytest.raises(ValueError, match="two scores give the metric coverage, density, precision, recall"):
        MetricsConfig(scores=[{"kind": "prdc"}, {"kind": "prdc", "k_pr": 5}])


def test_an_extractor_that_gives_nan_ends_the_stage_and_says_on_how_many(tmp_path):
    def broken(batch):
        rows = np.ones((len(batch), 3), np.float32)
        rows[0] = np.nan
        return rows

    def read(rows):
        return np.zeros((len(rows), 8, 8, 3), np.uint8)

    with pytest.raises(DataError, match=r"gave 2 of 8 images features that are not finite \(real\)"):
        features_of("real", read, 8, broken, Work(tmp_path, machine=machine(batch_size=4)))


def test_a_batch_is_prepared_while_another_is_computed_and_the_order_is_kept(tmp_path):
    network = Network(lambda batch: batch.astype(np.float32), lambda ready: ready.reshape(len(ready), -1)[:, :2])

    def read(rows):
        return np.stack([np.full((8, 8, 3), row, np.uint8) for row in rows])

    found = features_of("x", read, 50, network, Work(tmp_path, machine=machine(batch_size=7)))
    assert found[:, 0].tolist() == list(range(50))


def test_the_number_in_the_row_is_that_of_the_sets(rows):
    from mep.evaluation.space import drawn

    real, fake = normal(0, 120)[drawn(120, 100, 0, 0)], normal(1, 100, shift=0.3)[drawn(100, 100, 0, 1)]
    expected = frechet_distance(real.astype(np.float64), fake.astype(np.float64))
    assert find(rows, "fd").row.estimate.value == pytest.approx(expected, rel=1e-9)


def test_the_model_that_made_the_clusters_is_refused_whatever_it_pools(tmp_path):
    from mep.methods.embedders.transformers import Transformers as Embedder
    from mep.methods.extractors.handcrafted import Handcrafted as HandcraftedExtractor
    from mep.methods.extractors.transformers import Transformers as Extractor
    from mep.recipe.model import _same_model

    dino = Embedder(kind="transformers", id="facebook/dino-vitb8")
    assert _same_model(Extractor(kind="transformers", id="facebook/dino-vitb8", pooling="mean"), dino)
    assert not _same_model(Extractor(kind="transformers", id="facebook/dinov2-base"), dino)
    assert not _same_model(HandcraftedExtractor(kind="handcrafted"), dino)
    assert _same_model(Extractor(kind="transformers", path=tmp_path), Embedder(kind="transformers", path=tmp_path))

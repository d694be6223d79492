"""Every artifact comes back from its folder as it went in, and no folder holds a pickle."""

import dataclasses

import numpy as np
import pytest

from mep.artifacts import (
    HELDOUT,
    TRAIN,
    VALIDATION,
    Artifact,
    Assignment,
    Calibration,
    Clusters,
    Embeddings,
    Guidance,
    HeldOutEmbeddings,
    Images,
    Inliers,
    Members,
    Privacy,
    Prompt,
    Prompts,
    RealBaseline,
    References,
    Scores,
    TrainingSet,
    Utility,
)
from mep.artifacts.base import InFolder
from mep.artifacts.calibration import Effect
from mep.artifacts.score_row import Estimate, ScoreRow
from mep.config import Config
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.balancing import BalancingConfig
from mep.sections.dataset import DatasetConfig
from mep.stages import stages

IDS = ["a.png", "ünï/ b.png", "c"]


def example(kind, tmp_path):
    source = ImageFolder(kind="imagefolder", path=tmp_path)
    return {
        Images: Images(
            IDS,
            np.array([0, 1, 0]),
            ["healthy", "a|b <script>"],
            np.array([HELDOUT, TRAIN, VALIDATION], np.int8),
            ["x", "y", "z"],
            np.array([[1, 2], [3, 4], [5, 6]]),
            {"slide": ["s1", None, "s2"]},
            source,
            group="slide",
            pixels={"window": [0, 4095.0], "near_duplicates": 2},
        ),
        Embeddings: Embeddings(
            IDS, np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), {"std": [0.5, 0.5]}
        ),
        Inliers: Inliers(IDS, np.array([True, False, True]), ["", "mean_v 1 < 2", ""], {"mean_v": [5.0, 1.0, 6.0]}),
        Clusters: Clusters(
            IDS,
            np.array([0, -1, 1]),
            np.array([1, np.nan, 2], np.float32),
            {"centers": np.eye(2)},
            np.eye(3, 2, dtype=np.float32),
            [{"cluster": 0, "labels": {"a": 1}, "stability": None}],
            [{"k": 2, "index": "sd", "value": 0.5, "chosen": True}],
            Config(),
        ),
        TrainingSet: TrainingSet(
            IDS,
            ["a", None, "b"],
            np.array([0, 1, 1]),
            np.ones(3),
            ["b, cluster 4: 1 image"],
            Members(["c"], [None], np.array([2])),
            [{"group": "b", "images": 3, "picked": 2, "share": 1.0}],
            ("label", "cluster"),
        ),
        Prompts: Prompts(
            [Prompt("a_c00", "text {", "a", 0, 2), Prompt("all", "x", None, None, 1, {"sex": "f"}, ("y",))],
            {"a": 0, "b": 1},
        ),
        Guidance: Guidance(2.0, [{"guidance": 2.0, "by": "kid", "value": 0.1, "se": 0.01}]),
        References: References(
            {"random_conv": {"heldout": np.ones((2, 3), np.float32)}},
            {"random_conv": {"d": 3}},
            {"heldout": {"id": ["a", "b"], "label": ["x", None], "group": [0, 1]}},
        ),
        Calibration: Calibration(
            [Effect("random_conv", "kid", "lower", "blur", 0.4, 0.1, 0.02, 0.03)],
            256,
            2,
            ["copies: there are no training images"],
            {"shuffled blocks": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)},
        ),
        Assignment: Assignment(
            {"heldout": ["a"], "samples": ["b.png", "c.png"]},
            {"floor": np.array([[0, 1, -1, -1]]), "heldout": np.array([[0, 0, 1, 1]]), "samples": np.ones((2, 4), int)},
            2,
            ["x", "y"],
            {"d": 3, "digest": "d"},
            slides=["s1"],
            findings={"x": {"heldout": np.ones(1), "floor": np.zeros(1), "samples": np.array([0.25, 0.5])}},
        ),
        HeldOutEmbeddings: HeldOutEmbeddings(["a"], {"original": np.ones((1, 3), np.float32)}),
        RealBaseline: RealBaseline(
            "",
            np.ones((3, 2), np.float32),
            np.array([[1, 0]]),
            np.array([2]),
            {("", 0.1): np.ones((2, 1, 2)), ("", 1.0): np.ones((1, 1, 2)), ("in/out", 1.0): np.ones((1, 1, 2))},
            {("", 0.1): np.zeros((2, 2)), ("", 1.0): np.zeros((1, 2)), ("in/out", 1.0): np.ones((1, 2))},
            {"digest": "d", "seed": 1},
        ),
        Privacy: Privacy([ScoreRow("membership_loss", "samples")], np.array([[0.5, np.nan]])),
        Utility: Utility([ScoreRow("auroc", "samples")], np.array([[1.0, np.nan]])),
        Scores: Scores(
            [ScoreRow("fd", "samples", Estimate(0.1))],
            np.array([[1.0, np.nan]]),
            {"random_conv": np.ones((2, 3), np.float32)},
            {"random_conv": [{"file_name": "a.png", "train": "b", "distance": 0.5, "ratio": 0.9}]},
        ),
    }[kind]


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, Members):
        return same(vars(a), vars(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


KINDS = [one.output for one in stages().values() if not issubclass(one.output, InFolder)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_save_then_load_gives_equals(kind, tmp_path):
    before = example(kind, tmp_path)
    before.save(tmp_path)
    configs = {
        Images: lambda: DatasetConfig(source=before.source, group=before.group),
        TrainingSet: lambda: BalancingConfig(method="none"),
    }
    config = configs.get(kind, Config)()
    after = kind.load(tmp_path, config)
    for field in dataclasses.fields(kind):
        assert same(getattr(before, field.name), getattr(after, field.name)), field.name
    assert after.facts() == before.facts()
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".parquet", ".npy", ".json", ".png"}


def test_every_stage_writes_an_artifact_of_its_own():
    outputs = [one.output for one in stages().values()]
    assert len(set(outputs)) == len(outputs)
    assert all(issubclass(output, Artifact) for output in outputs)


def test_rows_are_selected_by_id_in_the_order_asked(tmp_path):
    images = example(Images, tmp_path)
    chosen = images.select(["c", "a.png"])
    assert chosen.ids == ["c", "a.png"]
    assert chosen.metadata == {"slide": ["s2", "s1"]}
    assert (images.held_out.ids, images.train.ids, images.validation.ids) == (IDS[:1], IDS[1:2], IDS[2:])
    assert images.seen.ids == IDS[1:]

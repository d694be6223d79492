import numpy as np
import pytest

from mep.artifacts import TRAIN, VALIDATION, Clusters, Images
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.balancers import Balancer
from mep.registry import members
from mep.sections.balancing import BalancingConfig
from mep.stages.balancing import balancing


def balanced(tmp_path, by, metadata, label_names=("x", "y"), kind="uniform_per_prompt"):
    n = 24
    ids = [f"i{row}" for row in range(n)]
    labels = np.arange(n) % len(label_names) if label_names else np.full(n, -1)
    images = Images(
        ids, labels, list(label_names), np.zeros(n, np.int8), [""] * n, np.ones((n, 2), int), metadata, source=None
    )
    clusters = Clusters(ids, np.arange(n) // 2 % 3, np.zeros(n, np.float32), {})
    config = BalancingConfig(method=members(Balancer)[kind](kind=kind), by=by)
    return images, balancing.function(config, images, clusters, work=Work(folder=tmp_path))


def test_groups_may_be_labels_alone_clusters_alone_or_any_column(tmp_path):
    sexes = {"sex": ["f"] * 18 + ["m"] * 5 + [None]}
    _, found = balanced(tmp_path, ("sex",), sexes)
    assert [(row["group"], row["images"], row["picked"]) for row in found.groups] == [
        ("sex None", 1, 1),
        ("sex f", 18, 1),
        ("sex m", 5, 1),
    ]
    _, found = balanced(tmp_path, ("sex", "cluster"), {"sex": ["f", "m", "m"] * 8})
    assert found.groups[0] == {"group": "sex f, cluster 0", "images": 4, "picked": 4, "share": 0.25}
    _, found = balanced(tmp_path, ("label", "cluster"), {}, label_names=())
    assert [row["group"] for row in found.groups] == ["cluster 0", "cluster 1", "cluster 2"]
    with pytest.raises(DataError, match="no column 'age'"):
        balanced(tmp_path, ("age",), {})


def test_three_keys_make_groups_of_all_three(tmp_path):
    _, found = balanced(tmp_path, ("label", "cluster", "sex"), {"sex": ["f"] * 12 + ["m"] * 12}, kind="none")
    assert len(found.groups) == 12
    assert found.groups[0]["group"] == "x, cluster 0, sex f"
    assert sum(row["share"] for row in found.groups) == pytest.approx(1)


def test_validation_images_come_along_where_their_group_is_trained_on(tmp_path):
    ids = list("abcdef")
    splits = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, VALIDATION, VALIDATION], np.int8)
    labels, clusters = np.array([0, 0, 1, 0, 1, 1]), np.array([0, 0, 1, 0, 0, -1])
    images = Images(ids, labels, ["x", "y"], splits, [""] * 6, np.ones((6, 2), int), {}, source=None)
    found = balancing.function(
        BalancingConfig(method="none"),
        images,
        Clusters(ids, clusters, np.zeros(6, np.float32), {}),
        work=Work(folder=tmp_path),
    )
    assert found.ids == ["a", "b", "c"]
    assert (found.validation.ids, found.validation.labels) == (["d"], ["x"])  # no y in cluster 0 is trained on


def test_a_value_that_starves_all_others_is_told_with_the_counts(tmp_path):
    _, starving = balanced(tmp_path, ("sex",), {"sex": ["f"] * 18 + ["m"] * 5 + [None]})
    told = "sex None has 1 image: every other one is cut to 1, without it to 5"
    assert starving.facts() == {"images": 3, "groups": 3, "warning": told}
    _, fair = balanced(tmp_path, ("sex",), {"sex": ["f"] * 14 + ["m"] * 10})
    assert "warning" not in fair.facts()

"""What tells the findings of a vector, each by itself."""

import numpy as np

from mep.artifacts import TRAIN, Embeddings, Images
from mep.artifacts.findings import Findings
from mep.stages.assignment import Probe

LABELS = {"a": ["a", "c"], "a and b": ["a", "b", "c"], "b": ["b", "c"], "none of them": ["c"]}
"""All of these images show c, so that nothing can be learned of it."""


def world(n=80):
    """Vectors of which the first number tells a and the second b."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=n)
    findings = Findings(["a", "b", "c"], LABELS)
    there = findings.shown(list(LABELS))[labels]
    vectors = (there[:, :2] * 4 + rng.normal(size=(n, 2))).astype(np.float32)
    ids = [str(row) for row in range(n)]
    sizes, splits = np.ones((n, 2), int), np.full(n, TRAIN, np.int8)
    images = Images(ids, labels, list(LABELS), splits, ids, sizes, {}, source=None, findings=findings)
    return images, Embeddings(ids, vectors, {})


def test_each_finding_has_a_probe_of_its_own_but_one_that_all_images_show():
    images, embeddings = world()
    probe = Probe.of(images, embeddings)
    assert probe.names == ["a", "b"]
    found = probe.findings(np.array([[4, 0], [0, 4]], np.float32))
    assert ((found > 0.5) == np.eye(2, dtype=bool)).all()
    assert [images.label_names[label] for label in probe.labels(np.array([[4, 4], [0, 0]], np.float32))] == [
        "a and b",
        "none of them",
    ]


def test_images_with_one_label_have_no_findings():
    images, embeddings = world()
    plain = Images(images.ids, images.labels, images.label_names, images.splits, images.ids, images.sizes, {}, None)
    probe = Probe.of(plain, embeddings)
    assert probe.findings(embeddings.vectors).shape == (80, 0)
    assert (probe.labels(embeddings.vectors) == images.labels).mean() > 0.9

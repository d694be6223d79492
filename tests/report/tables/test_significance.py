"""p-values of a report: adjusted beside the first metric, and by permutation where the features are still there."""

import numpy as np
import pytest

from mep.artifacts.score_row import ScoreProtocol, ScoreRow
from mep.evaluation.space import drawn
from mep.methods.scores.kid import permutation_p as by_hand
from mep.report.data.arms import StoredScore
from mep.report.tables.comparison import Delta, Metric
from mep.report.tables.significance import adjusted, holm_note, permutation_p
from mep.store import Store


def metric(name, p, group="all"):
    return Metric("drawn", name, group, "heldout", "lower", 1.0, {}, {}, {"mep": Delta(1.0, 0.5, 0.0, 2.0, p)}, {})


def test_all_metrics_but_the_first_are_adjusted_together_and_parts_are_not():
    found = adjusted([metric("fd", 0.01), metric("kid", 0.01), metric("recall", 0.04), metric("kid", 0.02, "label=a")])
    assert [one.differences["mep"].p_holm for one in found] == [None, pytest.approx(0.02), pytest.approx(0.04), None]
    assert [one.differences["mep"].p for one in found] == [0.01, 0.01, 0.04, 0.02]
    assert holm_note(found).endswith("differ at 0.05: mep in kid (drawn), mep in recall (drawn).")
    assert holm_note(adjusted([metric("fd", 0.01), metric("kid", 0.2), metric("recall", 0.4)])).endswith("none.")
    assert holm_note(adjusted([metric("fd", 0.01)])) == ""


def test_a_kernel_distance_is_tested_by_dealing_out_the_images_of_both_arms(tmp_path):
    store, rng = Store(tmp_path), np.random.default_rng(0)
    real, fake_a, fake_b = (
        rng.normal(shift, size=(n, 4)).astype(np.float32) for n, shift in ((50, 0), (40, 0), (40, 1))
    )
    kind = ScoreRow("kid", "samples", protocol=ScoreProtocol(extractor="drawn", seed=3))
    pair = [StoredScore(kind, {}, 0.1, 0.1, 40, 40, "d", f"metrics/{name}", 0, "references/r") for name in "ab"]
    assert permutation_p(store, *pair) is None  # the files are gone
    for path, array in (
        ("metrics/a/features/drawn.npy", fake_a),
        ("metrics/b/features/drawn.npy", fake_b),
        ("references/r/drawn/heldout.npy", real),
    ):
        (tmp_path / "store" / path).parent.mkdir(parents=True)
        np.save(tmp_path / "store" / path, array)
    assert permutation_p(store, *pair) == by_hand(real[drawn(50, 40, 3, 0)], fake_a, fake_b, seed=3) == 0.001


def test_a_kernel_distance_to_matched_images_is_tested_on_these(tmp_path):
    rng, rows, places = np.random.default_rng(0), np.arange(5, 40), np.arange(34, -1, -1)
    arrays = {name: rng.normal(size=(40, 4)).astype(np.float32) for name in ("metrics/a", "metrics/b", "references/r")}
    for name, array in arrays.items():
        folder = tmp_path / "store" / name
        paths = [folder / "features/drawn.npy"] if "metrics" in name else [folder / "drawn/heldout.npy"]
        for path, content in zip((*paths, folder / "matched/heldout.npy", folder / "matched/samples.npy"),
                                 (array, rows, places), strict=True):  # fmt: skip
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, content)
    kind = ScoreRow("kid", "samples", reference="matched", protocol=ScoreProtocol(extractor="drawn", seed=3))
    pair = [StoredScore(kind, {}, 0.1, 0.1, 35, 35, "d", f"metrics/{name}", 0, "references/r") for name in "ab"]
    real, fakes = arrays["references/r"][rows], [arrays[f"metrics/{name}"][places] for name in "ab"]
    assert permutation_p(Store(tmp_path), *pair) == by_hand(real, *fakes, seed=3)
    assert permutation_p(Store(tmp_path), *pair) != by_hand(arrays["references/r"][:35], *fakes, seed=3)

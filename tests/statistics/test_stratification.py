"""Splits of images that may show several findings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mep.statistics.stratification import rarest, stratified

ALONE = np.arange


def test_every_finding_is_halved_where_it_can_be():
    # a is on images 0 and 1, b on 0, 2, 3 and 4, nothing on 5, 6 and 7: one a, two b and four images are half of each.
    # a comes first: its images go to two sides. The side of image 0 then lacks one b, the other two, and so on.
    shown = np.zeros((8, 2), dtype=bool)
    shown[[0, 1], 0] = shown[[0, 2, 3, 4], 1] = True
    for seed in range(20):
        taken = stratified(shown, ALONE(8), 0.5, np.random.default_rng(seed))
        assert (shown[taken].sum(axis=0).tolist(), taken.sum()) == ([1, 2], 4)


def test_of_three_images_of_a_finding_a_fifth_is_one():
    # 2.4 and 0.6 are wanted: the first two go to the larger side, which then lacks 0.4, and the third to the other
    shown = np.zeros((50, 1), dtype=bool)
    shown[:3] = True
    taken = stratified(shown, ALONE(50), 0.2, np.random.default_rng(0))
    assert (shown[taken].sum(), taken.sum()) == (1, 10)


def test_rare_findings_are_split_better_than_by_lot():
    rng = np.random.default_rng(0)
    shown = rng.random((1000, 5)) < [0.3, 0.1, 0.03, 0.01, 0.005]
    patients = np.sort(rng.integers(0, 400, 1000))
    patients = np.unique(patients, return_inverse=True)[1]

    def worst(draw):
        """Largest distance from a fifth of the images of a rare finding, in images, the mean over twenty draws."""
        wanted = 0.2 * shown[:, 2:].sum(axis=0)
        draws = [draw(np.random.default_rng(seed)) for seed in range(20)]
        return np.mean([np.abs(shown[taken][:, 2:].sum(axis=0) - wanted).max() for taken in draws])

    by_lot = worst(lambda rng: rng.permutation(np.arange(patients.max() + 1) < 0.2 * patients.max())[patients])
    assert worst(lambda rng: stratified(shown, patients, 0.2, rng)) < 1 < 2 < by_lot


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40), st.integers(0, 9))
def test_groups_stay_whole(images, seed):
    shown = np.array([image[:2] for image in images])
    groups = np.unique([image[2] for image in images], return_inverse=True)[1]
    taken = stratified(shown, groups, 0.3, np.random.default_rng(seed))
    assert all(len(set(taken[groups == group])) == 1 for group in range(groups.max() + 1))


def test_the_rarest_finding_of_an_image_is_that_of_fewest_images():
    shown = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    assert rarest(shown).tolist() == [1, 0, 0, 1, 3]

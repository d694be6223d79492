"""Every score against values computed elsewhere.

The golden sets are drawn from numpy's frozen legacy stream. Their values were agreed by several implementations
(clean-fid, torch-fidelity, torchmetrics, scikit-learn, prdc, dgm-eval, cmmd-pytorch, vendi_score) or worked out by
brute force.
"""

import math

import numpy as np
import pytest
from golden_sets import golden
from hypothesis import given, settings
from hypothesis import strategies as st

from mep.errors import DataError
from mep.methods.scores import Score, measure_all
from mep.methods.scores.cmmd import Cmmd, median_distance, mmd
from mep.methods.scores.fd_infinity import FdInfinity, distances_at, extrapolate, line_through
from mep.methods.scores.frechet import Frechet, frechet, frechet_distance, null_distance
from mep.methods.scores.kid import Kid, kernel_distance, kernel_distance_error, permutation_p
from mep.methods.scores.kid_subsets import KidSubsets
from mep.methods.scores.prdc import Prdc, expected_coverage, prdc, realism
from mep.methods.scores.vendi import Vendi, vendi
from mep.registry import kind_of, members

FRECHET, KID, PRDC = Frechet(kind="frechet"), Kid(kind="kid"), Prdc(kind="prdc")
SCORES = [FRECHET, KID, PRDC, Cmmd(kind="cmmd"), FdInfinity(kind="fd_infinity"), Vendi(kind="vendi")]
SCORES += [KidSubsets(kind="kid_subsets", size=20)]
DIGITS = 6e-7  # the golden values are given to six decimals


@st.composite
def two_sets(draw):
    """Gaussian sets of 12 to 40 rows in 2 to 30 dimensions, so that rows may outnumber dimensions or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m, d = draw(st.integers(12, 40)), draw(st.integers(12, 40)), draw(st.integers(2, 30))
    return rng.normal(size=(n, d)), draw(st.floats(0.5, 2)) * rng.normal(size=(m, d)) + draw(st.floats(-1, 1))


def rotation(d):
    return np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]


few = settings(max_examples=25, deadline=None)


def test_the_golden_sets_are_drawn_as_they_were_published():
    corners = [(pair[0][0, 0], pair[1][-1, -1]) for pair in (golden("A"), golden("B"), golden("C"), golden("F"))]
    assert corners[0] == pytest.approx((1.764052, -1.135383), abs=DIGITS)
    assert corners[1][1] == pytest.approx(1.153962, abs=DIGITS)
    assert corners[2][1] == pytest.approx(-0.106097, abs=DIGITS)
    assert corners[3][0] == pytest.approx(1.788628, abs=DIGITS)


# --- Fréchet distance -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "distance"), [("A", 1.511491), ("B", 129.428934), ("C", 3.725257), ("F", 0.367758)])
def test_frechet_distance_of_the_golden_sets(name, distance):
    real, fake = golden(name)
    assert FRECHET.measure(real, fake)["fd"] == pytest.approx(distance, abs=DIGITS)
    moments = real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T)
    assert frechet(*moments) == pytest.approx(distance, abs=DIGITS)


def test_frechet_of_two_gaussians_has_a_closed_form():
    # N(0, I) against N((3,0,0,0), 4I), d = 4:  |3|² + d(1-2)² = 13
    origin, shifted = np.zeros(4), np.array([3.0, 0, 0, 0])
    assert frechet(origin, np.eye(4), shifted, 4 * np.eye(4)) == pytest.approx(13.0)


def test_frechet_of_diagonal_covariances_compares_standard_deviations():
    # D: |0-1|² over 5 dimensions, and Σ(√a - √b)² for variances 1..5 against 5..1
    variances = np.arange(1.0, 6.0)
    by_hand = 5 + ((np.sqrt(variances) - np.sqrt(variances[::-1])) ** 2).sum()
    value = frechet(np.zeros(5), np.diag(variances), np.ones(5), np.diag(variances[::-1]))
    assert value == pytest.approx(by_hand, rel=1e-12)
    assert value == pytest.approx(8.742020, abs=DIGITS)


@given(two_sets())
@few
def test_frechet_distance_is_symmetric_and_zero_on_a_set_in_any_order(sets):
    real, fake = sets
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(fake, real), rel=1e-7)
    assert frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-7)  # worst where n is d + 1, ill-conditioned


@given(two_sets(), st.floats(0.1, 10))
@few
def test_frechet_distance_knows_rotation_and_shift_for_nothing_and_scale_for_its_square(sets, scale):
    real, fake = sets
    moved_real, moved_fake = (scale * (rows @ rotation(rows.shape[1]) + 7) for rows in sets)
    moved = frechet_distance(moved_real, moved_fake)
    assert moved == pytest.approx(scale**2 * frechet_distance(real, fake), rel=1e-6)


@pytest.mark.parametrize("padding", [0, 1, 100])
def test_dimensions_that_hold_nothing_change_no_frechet_distance(padding):
    # 8 dimensions go through Cholesky, 9 fail there, 108 are more than the images
    real, fake = (np.pad(rows, ((0, 0), (0, padding))) for rows in golden("A"))
    assert frechet_distance(real, fake) == pytest.approx(1.5114910756, abs=1e-9)


def test_a_set_with_more_rows_than_dimensions_meets_one_with_fewer():
    real, fake = golden("B")
    many = np.concatenate([real] * 5)
    moments = many.mean(0), np.cov(many.T), fake.mean(0), np.cov(fake.T)
    assert frechet_distance(many, fake) == pytest.approx(frechet(*moments), rel=1e-9)


def test_a_negative_covariance_is_refused_in_either_place():
    zero, good, bad = np.zeros(3), np.eye(3), np.diag([1.0, 1.0, -0.1])
    for first, second in ((good, bad), (bad, good), (bad, bad)):
        with pytest.raises(DataError, match="negative eigenvalue"):
            frechet(zero, first, zero, second)


def test_gaussians_of_unlike_width_are_refused():
    with pytest.raises(DataError, match="3 dimensions, the second 4"):
        frechet(np.zeros(3), np.eye(3), np.zeros(4), np.eye(4))


# --- Kernel distance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "distance"), [("A", 0.234789), ("B", 0.329210), ("C", -0.103037), ("F", 0.042753)])
def test_kernel_distance_of_the_golden_sets(name, distance):
    assert KID.measure(*golden(name))["kid"] == pytest.approx(distance, abs=DIGITS)


@pytest.mark.parametrize(("name", "error"), [("A", 0.116656), ("C", 0.101293)])
def test_standard_error_of_the_kernel_distance_of_the_golden_sets(name, error):
    assert kernel_distance_error(*golden(name)) == pytest.approx(error, abs=DIGITS)


def test_leaving_out_every_image_in_turn_gives_the_closed_form_error():
    real, fake = golden("C")
    without_real = [kernel_distance(np.delete(real, i, axis=0), fake) for i in range(len(real))]
    without_fake = [kernel_distance(real, np.delete(fake, i, axis=0)) for i in range(len(fake))]
    # (n - 1) / n times the sum of squares is (n - 1) times the variance
    variance = sum((len(values) - 1) * np.var(values) for values in (without_real, without_fake))
    assert kernel_distance_error(real, fake) == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_kernel_distance_sums_every_block():
    # 1200 rows are two blocks of at most 1024; here all pairs stand in one matrix
    real, fake = golden("F")
    within_real, within_fake, across = ((a @ b.T / 16 + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake)))
    pairs = 1200 * 1199
    expected = (within_real.sum() - np.trace(within_real)) / pairs + (within_fake.sum() - np.trace(within_fake)) / pairs
    assert kernel_distance(real, fake) == pytest.approx(expected - 2 * across.mean(), rel=1e-9)


def test_the_error_of_the_kernel_distance_is_the_same_from_either_side():
    real, fake = golden("F")
    assert kernel_distance_error(real, fake[:1100]) == pytest.approx(kernel_distance_error(fake[:1100], real), rel=1e-9)


@given(two_sets())
@few
def test_kernel_distance_is_symmetric_and_blind_to_rotation_and_order(sets):
    real, fake = sets
    turned_real, turned_fake = (rows[::-1] @ rotation(rows.shape[1]) for rows in sets)
    value = kernel_distance(real, fake)
    assert kernel_distance(fake, real) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert kernel_distance(turned_real, turned_fake) == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_kernel_distance_of_equal_distributions_is_zero_on_average():
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(30, 4)), rng.normal(size=(20, 4))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(400)


def test_an_error_of_two_images_has_no_meaning():
    with pytest.raises(DataError, match="2 fake rows of features, at least 3 are needed"):
        kernel_distance_error(np.eye(5), np.eye(5)[:2])


@pytest.mark.parametrize(
    ("subsets", "size", "seed", "mean", "std"),
    [(100, 1000, 2020, 0.042954, 0.003608), (100, 1000, 0, 0.042678, 0.003361), (10, 200, 0, 0.040714, 0.022721)],
)
def test_kernel_distance_over_subsets_is_that_of_papers(subsets, size, seed, mean, std):
    score = KidSubsets(kind="kid_subsets", subsets=subsets, size=size, seed=seed)
    values = score.measure(*golden("F"))
    assert (values["kid_subsets"], values["kid_subsets_std"]) == pytest.approx((mean, std), abs=DIGITS)


def test_subsets_larger_than_a_set_are_refused():
    with pytest.raises(DataError, match="60 real rows of features, at least 1000 are needed"):
        KidSubsets(kind="kid_subsets").measure(*golden("A"))


def test_permutations_of_two_arms_are_as_seldom_extreme_as_they_promise():
    rng = np.random.default_rng(0)

    def p(shift, seed):
        real, fake_a, fake_b = rng.normal(size=(60, 4)), rng.normal(size=(40, 4)), rng.normal(shift, size=(25, 4))
        return permutation_p(real, fake_a, fake_b, n_permutations=99, seed=seed)

    ps = [p(0.0, seed) for seed in range(200)]
    # at the level of 0.05, 200 tests of unequal sizes reject 10 on average and 19 or fewer in 99.7 of 100 cases
    assert 1 <= sum(one <= 0.05 for one in ps) <= 19
    assert np.mean(ps) == pytest.approx(0.5, abs=0.08)
    assert p(1.0, 0) == 0.01


# --- Precision, recall, density, coverage -----------------------------------------------------------------------

NAMES = ("precision", "recall", "density", "coverage")
OF_THREE = {"A": (0.94, 0.466667, 1.44, 0.816667), "B": (0, 1, 0, 0), "C": (1, 0.375, 4.977778, 1)}
OF_FIVE = {"A": (0.96, 0.666667, 1.428, 0.95), "B": (0, 1, 0, 0), "C": (1, 0.425, 3.826667, 1)}


def four(real, fake, **settings):
    return tuple(prdc(real, fake, **settings)[name] for name in NAMES)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_prdc_of_the_golden_sets(name):
    sets = golden(name)
    assert four(*sets, k_pr=3, k_dc=3) == pytest.approx(OF_THREE[name], abs=DIGITS)
    assert four(*sets, k_pr=5, k_dc=5) == pytest.approx(OF_FIVE[name], abs=DIGITS)
    measured = PRDC.measure(*sets)
    assert tuple(measured[key] for key in NAMES) == pytest.approx(OF_THREE[name][:2] + OF_FIVE[name][2:], abs=DIGITS)


def test_features_far_from_the_origin_have_the_same_neighbours():
    # E: A moved by 1000 and stored in float32; |x|² + |y|² - 2 x·y of such numbers is off by more than the distances
    far = [(rows + 1000).astype(np.float32) for rows in golden("A")]
    assert PRDC.measure(*far) == PRDC.measure(*golden("A"))
    farther = [rows + 1e7 for rows in golden("A")]  # where float64 has the same trouble
    assert PRDC.measure(*farther) == PRDC.measure(*golden("A"))


@given(two_sets(), st.integers(1, 45))
@few
def test_block_size_and_row_order_change_no_share(sets, block):
    real, fake = sets
    everything = prdc(real, fake)
    assert prdc(real, fake, block=block) == everything
    assert prdc(real[::-1], np.roll(fake, 5, axis=0)) == pytest.approx(everything, rel=1e-12)


@given(two_sets(), st.floats(0.1, 10))
@few
def test_rotation_shift_and_scale_change_no_share(sets, scale):
    moved_real, moved_fake = (scale * (rows @ rotation(rows.shape[1]) - 3) for rows in sets)
    assert prdc(moved_real, moved_fake) == pytest.approx(prdc(*sets), rel=1e-12)


@given(two_sets())
@few
def test_a_set_against_itself_is_all_hits(sets):
    shares = prdc(sets[0], sets[0])
    assert (shares["precision"], shares["recall"], shares["coverage"]) == (1, 1, 1)


@given(two_sets())
@few
def test_swapping_the_sets_swaps_precision_and_recall(sets):
    real, fake = sets
    there, back = prdc(real, fake), prdc(fake, real)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


def test_copies_at_the_border_of_a_ball_lie_within_whatever_the_block():
    # The k-th neighbour of x is copied, so its copy lies at exactly the radius: every tie has to count in every block.
    rng = np.random.default_rng(3)
    real = rng.normal(size=(300, 64))
    squared = ((real[:, None] - real[None]) ** 2).sum(2)
    ranks = squared.argsort(axis=1).argsort(axis=1)  # rank 0 is the image itself
    n_hits = (ranks[:, :150] <= 5).sum()
    for block in (7, 64, 300):
        assert prdc(real, real[:150], block=block)["density"] == n_hits / (5 * 150)


def test_a_constant_feature_counts_as_a_copy():
    assert four(np.full((12, 3), 0.1), np.full((12, 3), 0.1)) == (1, 1, 12 / 5, 1)


def test_mode_collapse_is_precise_and_recalls_little():
    rng = np.random.default_rng(0)
    shares = PRDC.measure(rng.normal(size=(200, 4)), 0.05 * rng.normal(size=(200, 4)))
    assert shares["precision"] == 1
    assert shares["recall"] < 0.05
    assert shares["coverage"] < 0.3


def test_noise_around_everything_recalls_much_and_is_imprecise():
    rng = np.random.default_rng(0)
    shares = PRDC.measure(rng.normal(size=(200, 4)), 5 * rng.normal(size=(200, 4)))
    assert shares["recall"] > 0.9
    assert shares["precision"] < 0.4


def test_fakes_that_are_real_cover_as_much_as_expected():
    assert expected_coverage(1000, 1000, 5) == pytest.approx(0.968984, abs=DIGITS)
    # one neighbour, one fake: of the n - 1 other reals and the fake each is equally likely to be the nearest
    assert expected_coverage(4, 1, 1) == pytest.approx(1 / 4)
    rng = np.random.default_rng(1)
    shares = [prdc(rng.normal(size=(40, 3)), rng.normal(size=(30, 3))) for _ in range(300)]
    coverage, density = ([share[name] for share in shares] for name in ("coverage", "density"))
    assert np.mean(coverage) == pytest.approx(expected_coverage(40, 30, 5), abs=4 * np.std(coverage) / np.sqrt(300))
    assert np.mean(density) == pytest.approx(1, abs=4 * np.std(density) / np.sqrt(300))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_without_ties_the_prdc_package_agrees(k):
    peer = pytest.importorskip("prdc")
    rng = np.random.default_rng(k)
    real, fake = rng.normal(size=(150, 12)), 0.9 * rng.normal(size=(120, 12)) + 0.2
    assert prdc(real, fake, k_pr=k, k_dc=k) == pytest.approx(peer.compute_prdc(real, fake, k), rel=1e-12)


def test_the_border_may_be_left_outside_as_the_prdc_package_has_it():
    real, fake = golden("C")
    assert prdc(real, fake, k_pr=3, k_dc=3, strict=True)["density"] == pytest.approx(4.922222, abs=DIGITS)
    assert prdc(real, fake, strict=True)["density"] == pytest.approx(3.773333, abs=DIGITS)


def test_realism_of_the_golden_set_and_of_copies():
    assert np.median(realism(*golden("A"))) == pytest.approx(1.143392, abs=DIGITS)
    real, fake = golden("C")
    # copies lie at a distance of 0 of a ball, whose radius counts unless it is wider than the median
    assert np.isinf(realism(real, fake)[:10]).any()


# --- Mean embeddings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "raw", "unit"), [("A", 7.750967, 1.376702), ("B", 122.099534, 1.098239), ("C", 5.782020, 0.471275)]
)
def test_mean_embedding_distance_of_the_golden_sets(name, raw, unit):
    sets = golden(name)
    assert Cmmd(kind="cmmd", unit_length=False).measure(*sets)["mmd_rbf"] == pytest.approx(raw, abs=DIGITS)
    assert Cmmd(kind="cmmd").measure(*sets)["mmd_rbf"] == pytest.approx(unit, abs=DIGITS)


def test_without_the_diagonal_the_mean_embedding_distance_is_unbiased():
    found = Cmmd(kind="cmmd", unbiased=True).measure(*golden("A"))["mmd_rbf"]
    assert found == pytest.approx(1.026826, abs=DIGITS)


def test_at_the_paper_s_bandwidth_the_kernel_is_all_but_linear():
    real, fake = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in golden("A"))
    assert mmd(real, fake, sigma=10) == pytest.approx(10 * ((real.mean(0) - fake.mean(0)) ** 2).sum(), rel=0.01)


def test_the_median_bandwidth_sees_a_change_of_spread_that_means_hide():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(300, 4)), 2 * rng.normal(size=(300, 4))
    sigma = median_distance(real)
    assert sigma == pytest.approx(
        np.median(np.linalg.norm(real[:, None] - real[None], axis=2)[np.triu_indices(300, 1)])
    )
    alike = mmd(real, rng.normal(size=(300, 4)), sigma=sigma)
    assert mmd(real, fake, sigma=sigma) > 10 * alike
    assert Cmmd(kind="cmmd", sigma="median", unit_length=False).measure(real, fake)["mmd_rbf"] == pytest.approx(
        mmd(real, fake, sigma=sigma)
    )


def test_rows_without_direction_are_refused_where_length_is_taken_off():
    real, fake = golden("A")
    fake[3] = 0
    for score in (Cmmd(kind="cmmd"), Vendi(kind="vendi")):
        with pytest.raises(DataError, match="no direction"):
            score.measure(real, fake)


# --- Endless sets -----------------------------------------------------------------------------------------------


def test_the_golden_distances_and_the_line_through_them():
    sizes = (240, 400, 600, 800, 1000, 1200)
    distances = distances_at(*golden("F"), sizes, np.random.RandomState(0))
    known = [1.029317, 0.599919, 0.560736, 0.417969, 0.394692, 0.367758]
    assert distances == pytest.approx(known, abs=DIGITS)
    intercept, slope = line_through(sizes, distances)
    assert intercept == pytest.approx(0.193377, abs=DIGITS)
    assert slope == pytest.approx(193.5878, abs=1e-4)
    assert extrapolate(*golden("F"), sizes, np.random.RandomState(0)) == intercept


def test_extrapolation_takes_most_of_the_bias_off():
    # N(0, I) against N(0.1, I) in 16 dimensions: 0.16; at 1,200 images sets of one distribution are 0.2 apart
    found = FdInfinity(kind="fd_infinity").measure(*golden("F"))["fd_infinity"]
    assert abs(found - 0.16) < 0.6 * abs(frechet_distance(*golden("F")) - 0.16)


def test_fewer_images_than_two_a_dimension_are_not_extrapolated():
    with pytest.raises(DataError, match="20 images are too few to extrapolate in 64 dimensions, at least 128"):
        FdInfinity(kind="fd_infinity").measure(*golden("B"))


# --- What real images reach -------------------------------------------------------------------------------------


def test_real_images_reach_what_the_law_of_n_says():
    rng = np.random.default_rng(0)
    real, more = rng.normal(size=(400, 8)), rng.normal(size=(400, 8))
    direct = null_distance(real, more, 400, 400, seed=0)
    by_law = null_distance(real, None, 400, 400, seed=0)
    # d²/2 (1/n + 1/m) for normal sets, to first order: 8 · 9 / 4 / 400 + 8 / 400 · ... is about 0.13
    assert direct == pytest.approx(by_law, rel=0.25)
    assert frechet_distance(real, rng.normal(size=(400, 8))) == pytest.approx(direct, rel=0.4)


@pytest.mark.filterwarnings("error")
def test_balls_of_more_neighbours_than_there_are_have_no_expected_coverage():
    few = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(DataError, match="5 real images have no 5 neighbours"):
        Prdc(kind="prdc").null(few, few, None, seed=0)
    assert Prdc(kind="prdc", k_dc=4).null(few, few, None, seed=0)["coverage"] < 1


def test_too_few_real_images_say_so_instead_of_giving_a_null():
    with pytest.raises(DataError, match="20 real images of 64 dimensions do not tell"):
        FRECHET.null(*golden("B"), None, seed=0)


# --- Diversity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "of_fake", "of_real"),
    [("A", 7.518089, 7.591894), ("B", 23.675935, 16.894018), ("C", 12.158929, 13.269314)],
)
def test_vendi_score_of_the_golden_sets(name, of_fake, of_real):
    real, fake = golden(name)
    assert Vendi(kind="vendi").measure(real, fake)["vendi"] == pytest.approx(of_fake, abs=DIGITS)
    assert vendi(real) == pytest.approx(of_real, abs=DIGITS)


def test_vendi_score_of_other_orders():
    fake = golden("A")[1]
    assert vendi(fake, 2) == pytest.approx(7.130581, abs=DIGITS)
    assert vendi(fake, math.inf) == pytest.approx(5.104146, abs=DIGITS)
    assert Vendi(kind="vendi", order="infinity").measure(fake, fake)["vendi"] == vendi(fake, math.inf)


def test_vendi_score_counts_kinds():
    assert vendi(np.repeat(np.eye(7), 4, axis=0)) == pytest.approx(7)
    assert vendi(np.ones((9, 3))) == pytest.approx(1)


# --- One pass for all -------------------------------------------------------------------------------------------


def test_scores_that_share_a_pass_say_what_each_says_alone():
    real, fake = golden("A")
    together = measure_all([FRECHET, KID, PRDC, Prdc(kind="prdc", k_pr=5)], real, fake)
    for score, found in zip([FRECHET, KID, PRDC, Prdc(kind="prdc", k_pr=5)], together, strict=True):
        assert found.values == score.measure(real, fake)
    assert together[1].errors["kid"] == pytest.approx(kernel_distance_error(real, fake), rel=1e-5)
    refused = measure_all([PRDC, KID], real[:5], fake)
    assert refused[0].missing.text == "5 real rows of features, at least 11 are needed"
    assert set(refused[1].values) == {"kid"}


# --- What every score refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.kind)
def test_every_score_says_what_is_wrong_with_its_input(score):
    good = np.random.default_rng(0).normal(size=(40, 6))
    holed = good.copy()
    holed[[3, 7], 2] = np.nan, np.inf
    for real, fake, message in (
        (good, good[:, :5], "real features have 6 dimensions, fake have 5"),
        (good[:1], good, f"1 real rows of features, at least {score.minimum()} are needed"),
        (good, good[:1], f"1 fake rows of features, at least {score.minimum()} are needed"),
        (good, holed, "2 of 40 fake rows of features hold nan or infinity"),
        (good[0], good, r"real features have shape \(6,\)"),
        (good, good[:, :0], r"fake features have shape \(40, 0\)"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            score.measure(real, fake)
        assert caught.value.hint


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.kind)
def test_every_score_takes_float32_and_gives_the_metrics_it_names(score):
    real, fake = (rows.astype(np.float32) for rows in golden("A"))
    before = real.copy()
    values = score.measure(real, fake)
    assert list(values) == list(score.better)
    assert all(type(value) is float for value in values.values())
    assert values == pytest.approx(score.measure(real.astype(np.float64), fake.astype(np.float64)), rel=1e-5)
    assert np.array_equal(real, before)


def test_a_recipe_finds_the_scores_by_their_files():
    assert {kind_of(type(score)) for score in SCORES} | {"memorisation", "adherence"} == set(members(Score))

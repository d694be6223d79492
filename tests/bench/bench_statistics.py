"""How far our intervals and p-values can be trusted: coverage, level, power and false alarms of the verdict, simulated.

    export OMP_NUM_THREADS=1
    python tests/bench/bench_statistics.py cell 200 64 --reps 500          # every metric and every candidate test
    python tests/bench/bench_statistics.py cell 1000 1280 --only kid       # kernel distance alone
    python tests/bench/bench_statistics.py cell 1000 1280 --only closed    # the test that mep reports, and no other
    python tests/bench/bench_statistics.py cell 200 1280 --family tiles --only kid     # features of the sample's tiles
    python tests/bench/bench_statistics.py verdicts                        # false alarms of "some arm differs"
    python tests/bench/bench_statistics.py seeds                           # the paired t-test at 3 and 5 trainings
    python tests/bench/bench_statistics.py all --reps 500 --tiles FILE     # all cells, the small ones first
    python tests/bench/bench_statistics.py table                           # everything measured so far

Every repetition is a line of `--out` (statistics.jsonl) under its own seed: a stopped bench goes on where it was.

A repetition draws real images and two arms. In `alike` both arms are perfect; in `same` both come from one distribution
that lies apart from the real one; in `mirrored` they lie equally far on opposite sides of it, so that images differ
and distances do not; in `apart` the second lies farther, so that the kernel distance finds it nine times of ten.
"""

import argparse
import json
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import stats

from mep.evaluation.differences import at_once, difference, difference_by_error, paired_by_seed
from mep.evaluation.uncertainty import levelled
from mep.methods.scores.kid import distance_of
from mep.statistics.influence import error_of_difference, error_of_one, influence_of
from mep.statistics.intervals import standard_error
from mep.statistics.pairwise import KernelSums

CASES = ("alike", "same", "mirrored", "apart")
N_PAIRS, N_PERMUTATIONS = 20, 199
FAR = 0.05
"""Squared distance of an arm from the real images, as a share of their variance."""
KEYS = ("n", "d", "family", "only")
METRICS = ("kid", "fd", "precision", "recall", "density", "coverage")


# ---------------------------------------------------------------------------------------------------------------------
# What is drawn


@dataclass(frozen=True, eq=False)
class Drawer:
    """Draws sets of features, float32 (n, d).

    family  gauss: independent and normal. heavy: a power law of variances (1/i) and rows of unlike length (Student's t
            of 8 degrees), as trained features have. tiles: features of real tiles with what little noise breaks ties
    """

    family: str
    d: int
    tiles: np.ndarray | None = None

    def spectrum(self):
        variances = np.ones(self.d) if self.family == "gauss" else 1 / np.arange(1, self.d + 1)
        return np.sqrt(variances / variances.mean())

    def real(self, rng, n):
        if self.family == "tiles":
            rows = self.tiles[rng.integers(0, len(self.tiles), n)]
            return rows + 0.01 * self.tiles.std(0) * rng.standard_normal(rows.shape, dtype=np.float32)
        rows = rng.standard_normal((n, self.d), dtype=np.float32) * self.spectrum().astype(np.float32)
        if self.family == "heavy":
            rows *= np.sqrt(6 / rng.chisquare(8, (n, 1))).astype(np.float32)
        return rows

    def arm(self, rng, n, shift):
        """A set whose mean is off by so many times the usual distance, along one direction with all features in it."""
        scale = self.tiles.std(0) if self.family == "tiles" else self.spectrum()
        return self.real(rng, n) + np.float32(shift * math.sqrt(FAR)) * scale.astype(np.float32)


def shifts(case, effect):
    return {"alike": (0, 0), "same": (1, 1), "mirrored": (1, -1), "apart": (1, 1 + effect)}[case]


# ---------------------------------------------------------------------------------------------------------------------
# What is measured, from one table of products


class Tables:
    """Products of all features: real images, then the two arms; everything else is read off them."""

    def __init__(self, real, arm_a, arm_b):
        self.n, self.d = real.shape
        self.rows = np.concatenate([real, arm_a, arm_b])
        products = self.rows @ self.rows.T
        self.kernel = (products / self.d + 1) ** 3
        np.fill_diagonal(self.kernel, 0.0)
        norms = np.diag(products).copy()
        self.squared = norms[:, None] + norms - 2 * products
        np.fill_diagonal(self.squared, np.inf)
        self.products = products

    def sums(self, arm):
        """Kernel sums of the real images and of one arm, as mep's pass over the pairs gives them."""
        n, fake = self.n, slice((arm + 1) * self.n, (arm + 2) * self.n)
        real, within, across = self.kernel[:n, :n], self.kernel[fake, fake], self.kernel[:n, fake]
        offset = float(across.mean())
        squares = [((table - offset).astype(np.float64) ** 2).sum() for table in (real, within, across)]
        squares = np.array(squares) - np.array([n, n, 0]) * offset**2
        parts = [
            table.sum(axis, dtype=np.float64) for table, axis in ((real, 1), (within, 1), (across, 1), (across, 0))
        ]
        return KernelSums(*parts, squares, offset)

    def metrics(self, real, fake, names):
        """Metric -> value, of some rows."""
        found = {}
        if "kid" in names:
            n, m = len(real), len(fake)
            within = self.kernel[np.ix_(fake, fake)].sum(dtype=np.float64) / (m * (m - 1))
            within += self.kernel[np.ix_(real, real)].sum(dtype=np.float64) / (n * (n - 1))
            found["kid"] = within - 2 * self.kernel[np.ix_(real, fake)].mean(dtype=np.float64)
        if "fd" in names:
            found["fd"] = self.frechet(real, fake)
        if "precision" in names:
            found |= self.shares(real, fake)
        return found

    def frechet(self, real, fake):
        a, b = self.rows[real].astype(np.float64), self.rows[fake].astype(np.float64)
        shift = a.mean(0) - b.mean(0)
        a, b = (a - a.mean(0)) / math.sqrt(len(a) - 1), (b - b.mean(0)) / math.sqrt(len(b) - 1)
        if len(a) > self.d:
            spectrum = np.linalg.eigvals(a.T @ a @ (b.T @ b)).real
        else:
            cross = a @ b.T
            spectrum = np.linalg.eigvalsh(cross @ cross.T)
        overlap = np.sqrt(np.maximum(spectrum, 0)).sum()
        return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * overlap)

    def shares(self, real, fake):
        within_real, within_fake = self.squared[np.ix_(real, real)], self.squared[np.ix_(fake, fake)]
        across = self.squared[np.ix_(real, fake)]
        of_real, of_fake = (np.partition(table, (2, 4), axis=1) for table in (within_real, within_fake))
        near, wide = across <= of_real[:, 2:3], across <= of_real[:, 4:5]
        return {
            "precision": float(near.any(0).mean()),
            "recall": float((across <= of_fake[:, 2]).any(1).mean()),
            "density": float(wide.sum() / (5 * len(fake))),
            "coverage": float(wide.any(1).mean()),
        }


def repetition(drawer, n, case, effect, seed, names):
    """One experiment: values, errors and p of every candidate."""
    rng = np.random.default_rng(seed)
    shift_a, shift_b = shifts(case, effect)
    tables = Tables(drawer.real(rng, n), drawer.arm(rng, n, shift_a), drawer.arm(rng, n, shift_b))
    if not names:
        return {"kid": closed_test(tables)}
    real, arms = np.arange(n), [np.arange(n, 2 * n), np.arange(2 * n, 3 * n)]
    whole = [tables.metrics(real, arm, names) for arm in arms]
    halves = on_halves(tables, rng, n, names)
    found = {}
    for name in whole[0]:
        (raw_a, a), (raw_b, b) = halves[name]
        single = float(standard_error(a))
        delta = difference(a, b, whole[0][name], whole[1][name])
        spread = float(np.std(raw_a - raw_b, ddof=1))  # of single halves: what stood here before
        found[name] = {
            "value": whole[0][name],
            "difference": delta.value,
            "se": single,
            "halves": [delta.se, delta.p],
            "before": [spread, difference_by_error(delta.value, spread).p],
        }
    found["kid"] |= kernel_tests(tables, rng, n)
    return found


def closed_test(tables):
    """The test that mep reports, and no other."""
    sums = [tables.sums(arm) for arm in (0, 1)]
    a, b = (influence_of(of_arm) for of_arm in sums)
    delta = difference_by_error(distance_of(sums[0]) - distance_of(sums[1]), error_of_difference(a, b))
    known = {"value": distance_of(sums[0]), "difference": delta.value, "se_closed": error_of_one(a)}
    return known | {"closed": [delta.se, delta.p]}


def on_halves(tables, rng, n, names):
    """Metric -> for both arms, cut alike, values on pairs of halves, float64 (pairs, 2), and as mep keeps them."""
    values = []
    for _ in range(N_PAIRS):
        real, fake = (rng.permutation(n)[: n // 2 * 2].reshape(2, -1) for _ in "rf")
        values.append([[tables.metrics(real[k], fake[k] + (arm + 1) * n, names) for k in (0, 1)] for arm in (0, 1)])
    found = {}
    for name in values[0][0][0]:
        arms = np.array([[[half[name] for half in arm] for arm in pair] for pair in values]).transpose(1, 0, 2)
        found[name] = [(arm, arm if name in ("kid", "fd") else levelled(arm)) for arm in arms]
    return found


def kernel_tests(tables, rng, n):
    """The difference of two kernel distances in closed form, without the correction for pairs, and by permutation."""
    sums = [tables.sums(arm) for arm in (0, 1)]
    a, b = (influence_of(of_arm) for of_arm in sums)
    delta = difference_by_error(distance_of(sums[0]) - distance_of(sums[1]), error_of_difference(a, b))
    left_out = math.sqrt(((a.real - b.real) ** 2).sum() + a.fake + b.fake)
    plain, studentised = permuted(tables, rng, n)
    return {
        "se_closed": error_of_one(a),
        "closed": [delta.se, delta.p],
        "leave one out": [left_out, difference_by_error(delta.value, left_out).p],
        "permuted": [0.0, plain],
        "studentised": [0.0, studentised],
    }


def permuted(tables, rng, n):
    """p by dealing the images of both arms out again: of the difference, and of the difference over its error."""
    dealt = np.zeros((N_PERMUTATIONS + 1, 2 * n), np.float32)
    dealt[0, :n] = 1
    for row in dealt[1:]:
        row[rng.permutation(2 * n)[:n]] = 1
    pool, to_real = tables.kernel[n:, n:], tables.kernel[n:, :n]
    near = to_real.mean(1)
    of_a, total, rest = dealt @ pool, pool.sum(1), 1 - dealt
    values, errors = [], []
    for sums, members in ((of_a, dealt), (total - of_a, rest)):
        influence = 2 * (sums / (n - 1) - near)
        mean = (influence * members).sum(1) / n
        values.append((sums * members).sum(1) / (n * (n - 1)) - 2 * (members @ near) / n)
        errors.append(((influence - mean[:, None]) ** 2 * members).sum(1) / (n - 1) / n)
    moved = 2 * (2 * (dealt @ to_real) - to_real.sum(0)) / n
    error = np.sqrt(errors[0] + errors[1] + moved.var(1) / n)
    differences = np.abs(values[0] - values[1])
    ratios = differences / error
    return tuple(float((found >= found[0] * (1 - 1e-6)).mean()) for found in (differences, ratios))


@lru_cache
def effect_of(drawer, n):
    """How much farther the second arm of `apart` lies: its mean difference is 3.3 standard errors, found in 91 %."""
    effect = 0.3
    for _ in range(2):
        ratios = []
        for seed in range(6):
            rng = np.random.default_rng([seed, n])
            tables = Tables(drawer.real(rng, n), drawer.arm(rng, n, 1), drawer.arm(rng, n, 1 + effect))
            sums = [tables.sums(arm) for arm in (0, 1)]
            error = error_of_difference(*(influence_of(of_arm) for of_arm in sums))
            ratios.append((distance_of(sums[1]) - distance_of(sums[0])) / error)
        effect *= 3.3 / max(float(np.mean(ratios)), 0.5)
    return effect


def cell(args):
    drawer = Drawer(args.family, args.d, np.load(args.tiles) if args.family == "tiles" else None)
    names = {"closed": (), "kid": ("kid",), "all": METRICS}[args.only]
    effect = effect_of(drawer, args.n)
    key = {name: getattr(args, name) for name in KEYS}
    there = {(row["case"], row["seed"]) for row in read(args.out) if all(row.get(k) == v for k, v in key.items())}
    with args.out.open("a") as out:
        for seed in range(args.reps):
            for case in args.cases:
                if (case, seed) not in there:
                    place = zlib.crc32(f"{args.family} {case}".encode())
                    found = repetition(drawer, args.n, case, effect, [seed, args.n, args.d, place], names)
                    out.write(json.dumps(key | {"case": case, "seed": seed, "effect": effect, "found": found}) + "\n")
                    out.flush()


def everything(args):
    """All cells in rounds, so that a bench that is stopped has tried each of them; the largest ones less often."""
    for reps in (round(args.reps * share) for share in (0.1, 0.3, 1)):
        for d in (64, 16, 1280):
            for n in (200, 500, 1000):
                slow = {500: 2, 1000: 4}.get(n, 1) * (2 if d == 1280 else 1)
                todo = {"n": n, "d": d, "family": "gauss", "cases": CASES}
                cell(argparse.Namespace(**vars(args) | todo | {"only": "all", "reps": reps // slow}))
                if slow > 1:
                    cell(argparse.Namespace(**vars(args) | todo | {"only": "kid", "reps": reps}))
        cell(argparse.Namespace(**vars(args) | {"n": 200, "d": 64, "family": "heavy", "reps": reps}))
        if args.tiles.exists():
            todo = {"n": 200, "d": 1280, "family": "tiles", "only": "kid", "cases": ("alike", "same", "apart")}
            cell(argparse.Namespace(**vars(args) | todo | {"reps": reps}))


def read(path):
    """Every repetition once."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return list({json.dumps([row[name] for name in (*KEYS, "case", "seed")]): row for row in rows}.values())


# ---------------------------------------------------------------------------------------------------------------------
# The verdict and the seeds


def verdicts(args):
    """False alarms of "some arm differs from the baseline", with one training an arm and over several."""
    drawer, n = Drawer("gauss", args.d), args.n
    print("| arms beside the baseline | trainings | best arm on its own | allowing for all arms |")
    for n_seeds in args.trainings:
        for n_arms in args.arms:
            alone = together = 0
            for seed in range(args.reps):
                deltas = experiment(drawer, n, n_arms, n_seeds, np.random.default_rng([seed, n_arms, n_seeds]))
                best = min(deltas, key=lambda delta: delta.value)
                alone += best.p <= 0.05
                together += any(at_once(delta, n_arms).p <= 0.05 for delta in deltas)
            print(f"| {n_arms} | {n_seeds} | {alone / args.reps:.3f} | {together / args.reps:.3f} |", flush=True)


def experiment(drawer, n, n_arms, n_seeds, rng):
    """Differences of arms to a baseline where all are trained alike: trainings differ, arms do not."""
    real = drawer.real(rng, n)
    table = np.empty((n_arms + 1, n_seeds), object)
    for place in np.ndindex(*table.shape):
        training = 1 + (0.1 * rng.standard_normal() if n_seeds > 1 else 0.0)
        table[place] = Tables(real, drawer.arm(rng, n, training), real[:0]).sums(0)
    if n_seeds == 1:
        base, *others = (influence_of(sums) for sums in table[:, 0])
        values = [distance_of(sums) for sums in table[:, 0]]
        return [
            difference_by_error(value - values[0], error_of_difference(other, base))
            for value, other in zip(values[1:], others, strict=True)
        ]
    base, *others = ({seed: distance_of(sums) for seed, sums in enumerate(row)} for row in table)
    return [over_seeds(other, base) for other in others]


def over_seeds(values, base):
    paired = paired_by_seed(values, base)
    spread = np.std(list(paired.values.values()), ddof=1) / math.sqrt(len(paired.values))
    return difference_by_error(paired.value, float(spread), len(paired.values) - 1)


def seeds(args):
    """Level and power of the paired t-test over trainings, whose results spread by one standard deviation an arm."""
    rng, size = np.random.default_rng(0), args.reps * 25

    def normal(n_seeds):
        return rng.standard_normal((size, n_seeds))

    def lognormal(n_seeds):  # of mean 0 and standard deviation 1
        return (np.exp(rng.standard_normal((size, n_seeds))) - math.exp(0.5)) / math.sqrt(math.exp(2) - math.exp(1))

    pairs = {
        "normal": (normal, normal),
        "lognormal": (lognormal, lognormal),
        "normal, twice as wide in one arm": (lambda n: 2 * normal(n), normal),
        "lognormal in one arm, none in the other": (lognormal, lambda n: np.zeros((size, n))),
    }
    print("| trainings | spread between trainings | p <= 0.05 | p <= 0.01 | power at 2 standard deviations | at 4 |")
    for n_seeds in (3, 5):
        for name, (of_a, of_b) in pairs.items():
            a, b = of_a(n_seeds), of_b(n_seeds)
            level, strict = ((_p(a, b) <= cut).mean() for cut in (0.05, 0.01))
            power = [(_p(a + shift, b) <= 0.05).mean() for shift in (2, 4)]
            print(f"| {n_seeds} | {name} | {level:.3f} | {strict:.3f} | {power[0]:.2f} | {power[1]:.2f} |")


def _p(a, b):
    moved = a - b
    ratio = np.abs(moved.mean(1)) / (moved.std(1, ddof=1) / math.sqrt(moved.shape[1]))
    return 2 * stats.t.sf(ratio, moved.shape[1] - 1)


# ---------------------------------------------------------------------------------------------------------------------
# What came out


def table(args):
    groups = {}
    for row in read(args.out):
        groups.setdefault((row["family"], row["n"], row["d"], row["only"]), {}).setdefault(row["case"], []).append(row)
    for (family, n, d, _), cases in sorted(groups.items()):
        sizes = ", ".join(f"{case} {len(rows)}" for case, rows in cases.items())
        print(f"\n## {family}, n = {n}, d = {d}; repetitions: {sizes}\n")
        print(
            "| metric, test | "
            + " | ".join(f"{case} 5 % / 1 %" for case in cases)
            + " | KS of p (same) | error / true |"
        )
        for metric in next(iter(cases.values()))[0]["found"]:
            for test in ("closed", "leave one out", "permuted", "studentised", "halves", "before"):
                if test in next(iter(cases.values()))[0]["found"][metric]:
                    print(line(metric, test, cases))
        print("\n| metric | " + " | ".join(f"coverage, {case}" for case in cases) + " |")
        for metric in next(iter(cases.values()))[0]["found"]:
            print(f"| {metric} | " + " | ".join(covered(metric, rows) for rows in cases.values()) + " |")


def line(metric, test, cases):
    shares = []
    for rows in cases.values():
        ps = np.array([row["found"][metric][test][1] for row in rows])
        shares.append(f"{(ps <= 0.05).mean():.3f} / {(ps <= 0.01).mean():.3f}")
    same = [row["found"][metric] for row in cases.get("same", next(iter(cases.values())))]
    distance = stats.kstest([found[test][1] for found in same], "uniform").statistic
    true = math.sqrt(np.mean([found["difference"] ** 2 for found in same]))
    ratio = math.sqrt(np.mean([found[test][0] ** 2 for found in same])) / true if true else math.nan
    return f"| {metric}, {test} | {' | '.join(shares)} | {distance:.3f} | {ratio:.2f} |"


def covered(metric, rows):
    """Share of intervals that hold the mean over all repetitions; of the difference, in the same way."""
    found = [row["found"][metric] for row in rows]
    values, differences = (np.array([one[name] for one in found]) for name in ("value", "difference"))
    closed = "se_closed" in found[0]
    reach = stats.norm.ppf(0.975) if closed else stats.t.ppf(0.975, N_PAIRS - 1)
    errors = np.array([one["se_closed" if closed else "se"] for one in found])
    of_difference = np.array([one["closed" if closed else "halves"][0] for one in found])
    single = (np.abs(values - values.mean()) <= reach * errors).mean()
    double = (np.abs(differences - differences.mean()) <= reach * of_difference).mean()
    return f"{single:.3f}, difference {double:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cell", "all", "verdicts", "seeds", "table"])
    parser.add_argument("n", type=int, nargs="?", default=200)
    parser.add_argument("d", type=int, nargs="?", default=64)
    parser.add_argument("--reps", type=int, default=200)
    parser.add_argument("--family", choices=["gauss", "heavy", "tiles"], default="gauss")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--only", choices=["closed", "kid", "all"], default="all")
    parser.add_argument("--arms", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--trainings", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--tiles", type=Path, help="runs/store/references/*/efficientnet_lite0/train.npy")
    parser.add_argument("--out", type=Path, default=Path("statistics.jsonl"))
    args = parser.parse_args()
    {"cell": cell, "all": everything, "verdicts": verdicts, "seeds": seeds, "table": table}[args.what](args)

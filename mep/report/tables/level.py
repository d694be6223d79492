"""How often the test behind the headline is right, as it was measured."""

from dataclasses import dataclass

from mep.report.tables.comparison import Delta, Metric

COMMAND = "python tests/bench/bench_statistics.py"
"""What measured the numbers below; tests/bench/RESULTS.md has all of them."""


@dataclass(frozen=True)
class Simulated:
    """A test, tried in many simulated comparisons.

    where           what was drawn
    repetitions     comparisons behind each share
    alarms          share of those of two equally good arms in which p was at most 0.05
    difference      how much better an arm was, in words, in the comparisons behind `power`
    power           share of these in which p was at most 0.05
    """

    where: str
    repetitions: int
    alarms: float
    difference: str
    power: float

    @property
    def sentence(self) -> str:
        return (
            f"How far to trust p: between equally good arms it was at most 0.05 in {100 * self.alarms:.1f} % of "
            f"{self.repetitions:,} simulated comparisons, 5 % is promised; {self.difference} was found in "
            f"{100 * self.power:.0f} % ({self.where})."
        )


IMAGES = Simulated("200 images, 64 features", 500, 0.044, "a difference of 3.3 standard errors", 0.90)
"""The kernel distance in closed form; equally good arms lie equally far from the real images, on opposite sides."""
SPREAD = "a difference of twice the spread between trainings"
TRAININGS = {
    3: Simulated("3 trainings an arm, normal spread", 10_000, 0.049, SPREAD, 0.29),
    5: Simulated("5 trainings an arm, normal spread", 10_000, 0.050, SPREAD, 0.66),
}
"""The paired t-test over so many trainings."""


def level_of(metric: Metric) -> str:
    """A sentence on the test that the differences of a metric rest on; empty where that was not simulated."""
    simulated = {found for delta in metric.differences.values() if (found := _behind(metric.metric, delta))}
    return simulated.pop().sentence if len(simulated) == 1 else ""


def _behind(metric: str, delta: Delta) -> Simulated | None:
    if delta.spread:
        return None
    if delta.n_pairs:
        known = [n for n in TRAININGS if n <= delta.n_pairs]
        return TRAININGS[max(known)] if known else None
    return IMAGES if metric == "kid" and delta.freedom is None else None

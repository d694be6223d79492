"""How far trainings of one arm lie apart in a store of runs with repeats, and what one training an arm tells by that.

    mep --runs RUNS run recipes/claim.yaml
    python tests/bench/bench_spreads.py RUNS

First the table in mep/runner/spreads.py. Then, for every two arms of the last run, the share of all pairs of single
trainings that differ in the headline: between equal arms it should be 5 %, between others it is the power.
"""

import itertools
import math
import sys
from pathlib import Path

from mep.evaluation.differences import difference_by_error
from mep.recipe.model import repeat_of
from mep.runner.spreads import HEADLINE, SHIPPED, Spread, spread_of_headline, spreads_of
from mep.store import Store

EXTRACTOR = "efficientnet_lite0"


def told_apart(store: Store, run_id: str, spread: Spread) -> None:
    rows = store.db.query(
        "SELECT arm, value FROM scores JOIN uses USING (artifact_id) WHERE run_id = ? AND metric = ? AND extractor = ?"
        " AND subject = 'samples' AND reference = 'matched' AND json_extract(protocol, '$.group') = 'all'",
        *(run_id, HEADLINE, EXTRACTOR),
    )
    arms: dict[str, list[float]] = {}
    for row in rows:
        arms.setdefault(repeat_of(row["arm"])[0], []).append(row["value"])
    for one, two in itertools.combinations(arms, 2):
        pairs = list(itertools.product(arms[one], arms[two]))
        errors = [math.sqrt(2) * spread.at((a + b) / 2) for a, b in pairs]
        tests = [difference_by_error(a - b, se, spread.freedom).p for (a, b), se in zip(pairs, errors, strict=True)]
        share = sum(p <= 0.05 for p in tests) / len(tests)
        print(f"  {one} and {two}: {100 * share:.0f} % of {len(tests)} pairs differ")


def main(runs: Path) -> None:
    store = Store(runs)
    latest = store.db.query("SELECT run_id FROM arms WHERE arm LIKE '%#%' ORDER BY run_id DESC LIMIT 1")[0]["run_id"]
    used = "SELECT DISTINCT artifact_id FROM uses WHERE run_id = ? AND stage = 'dataset'"
    known = spreads_of(store, store.db.query(used, latest)[0]["artifact_id"], "", None)
    for place, spread in sorted(known.items()):
        if spread.of_these_images:
            shipped = SHIPPED.get(place.extractor, {}).get(place.metric, "-")
            said = f"{spread.size:.4g}{' of the mean' if spread.relative else ''}, {spread.freedom} degrees"
            print(f"  {'/'.join(place)}: {said}; shipped: {shipped}")
    headline = spread_of_headline(known, EXTRACTOR)
    if headline:
        told_apart(store, latest, headline)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

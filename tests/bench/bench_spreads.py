"""How far trainings of one arm lie apart in a store of runs with repeats: the table in mep/runner/spreads.py.

mep --runs RUNS run recipes/claim.yaml
python tests/bench/bench_spreads.py RUNS
"""

import sys
from pathlib import Path

from mep.runner.spreads import SHIPPED, spreads_of
from mep.store import Store


def main(runs: Path) -> None:
    store = Store(runs)
    images = store.db.query("SELECT DISTINCT artifact_id FROM uses WHERE stage = 'dataset'")
    for row in images:
        print(row["artifact_id"])
        for place, spread in sorted(spreads_of(store, row["artifact_id"], "", None).items()):
            if spread.of_these_images:
                shipped = SHIPPED.get(place.extractor, {}).get(place.metric, "-")
                said = f"{spread.size:.4g}{' of the mean' if spread.relative else ''}, {spread.freedom} degrees"
                print(f"  {'/'.join(place)}: {said}; shipped: {shipped}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

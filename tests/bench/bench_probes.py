"""How much of what a probe says of generated images is the scale of its features. Run by hand on repeats:

    mep --runs RUNS run recipes/claim.yaml
    python tests/bench/bench_probes.py RUNS

Of every arm of the last run: AUROC on held-out real images of classifiers that were trained on generated ones, mean and
standard deviation over its trainings, by what the classifier sees and by its kind. Validation images choose nothing.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from mep.evaluation.space import drawn
from mep.recipe.model import repeat_of
from mep.store import Store

EXTRACTOR = "efficientnet_lite0"


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def logistic(strength):
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)


def areas(fake, labels, real, wanted):
    """Name -> AUROC on real images, of classifiers trained on generated ones."""
    own, other = StandardScaler().fit(fake), StandardScaler().fit(real)
    seen = {
        "standardised by the generated images, C=1e-4": (own.transform(fake), own.transform(real), logistic(1e-4)),
        "standardised by the generated images, C=1e-2": (own.transform(fake), own.transform(real), logistic(1e-2)),
        "each set standardised by itself, C=1e-3": (own.transform(fake), other.transform(real), logistic(1e-3)),
        "length one, C=1": (unit(fake), unit(real), logistic(1)),
        "length one, C=10": (unit(fake), unit(real), logistic(10)),
        "length one, 20 neighbours": (unit(fake), unit(real), KNeighborsClassifier(20)),
    }
    found = {}
    for name, (inputs, tested, model) in seen.items():
        model.fit(inputs, labels)
        found[name] = roc_auc_score(wanted == model.classes_[1], model.predict_proba(tested)[:, 1])
    return found


def main(runs: Path) -> None:
    store = Store(runs)
    latest = store.db.query("SELECT run_id FROM arms WHERE arm LIKE '%#%' ORDER BY run_id DESC LIMIT 1")[0]["run_id"]
    uses = defaultdict(dict)
    for row in store.db.query("SELECT arm, stage, artifact_id FROM uses WHERE run_id = ?", latest):
        uses[row["arm"]][row["stage"]] = runs / "store" / row["artifact_id"]
    found = defaultdict(lambda: defaultdict(list))
    for arm, folders in uses.items():
        real = np.load(folders["references"] / EXTRACTOR / "heldout.npy").astype(float)
        wanted = np.array(pq.read_table(folders["references"] / "heldout.parquet")["label"].to_pylist())
        fake = np.load(folders["metrics"] / "features" / f"{EXTRACTOR}.npy").astype(float)
        lines = (folders["generation"] / "metadata.jsonl").read_text().splitlines()
        labels = np.array([json.loads(line)["label"] for line in lines])[drawn(len(lines), len(lines), 0, 1)]
        for name, area in areas(fake, labels[: len(fake)], real, wanted).items():
            found[name][repeat_of(arm)[0]].append(area)
    for name, of_arms in found.items():
        print(name)
        for arm, values in of_arms.items():
            spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
            print(f"    {arm:<18} {np.mean(values):.3f} +- {spread:.3f}  ({len(values)} trainings)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

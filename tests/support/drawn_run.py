"""A store with one run made by hand, artifact by artifact, for tests of what reads finished runs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import yaml
from PIL import Image

from mep.artifacts import (
    Assignment,
    BaseModel,
    Clusters,
    Embeddings,
    HeldOutEmbeddings,
    Images,
    Inliers,
    Latents,
    Model,
    Privacy,
    Prompt,
    Prompts,
    References,
    Samples,
    Scores,
    TrainingSet,
    Utility,
)
from mep.artifacts.score_row import ScoreRow
from mep.machine.files import append_json_line, write_json
from mep.recipe import load_recipe, lock_text
from mep.report import (
    gather,
)
from mep.runner.environment import summary as environment
from mep.stages import maker_of
from mep.store import Store, now

N_HALVES = 40
RUN = "20261122-0900-drawn"
PLAIN, RICHER = "Image of {label} tissue", "Image of {label} tissue, type {cluster:words}"

HOSTILE = [
    "<script>alert(1)</script>",
    "[red]stop[/red]",
    "=cmd()",
    "a|b",
    "**bold** _and_ `code`",
    "שלום עולם",
    "\u202eevil",
    "🧫 cells",
    "x" * 300,
]


# ---------------------------------------------------------------------------------------------------------------------
# A run made by hand


def settings(folder, *, template=PLAIN):
    """A recipe whose arms differ in their template; the models it names are never made."""
    return {
        "mep": 2,
        "name": "drawn",
        "seed": 1,
        "dataset": {"source": {"kind": "imagefolder", "path": str(folder)}, "label": "label"},
        "embedding": {"model": "handcrafted"},
        "outliers": {"method": "none"},
        "clustering": {"method": {"kind": "kmeans", "k": 2}},
        "balancing": {"method": "uniform_per_prompt"},
        "prompts": {"template": template},
        "training": {"base": {"kind": "scratch"}, "steps": 10},
        "generation": {
            "allocation": {"kind": "per_label", "images": 2},
            "sampler": {"kind": "dpmsolver++", "steps": 2},
        },
        "arms": {"label-only": {}, "mep": {"prompts": {"template": RICHER}}},
    }


def leaves(value, name=""):
    """(dotted field, value) of everything in nested sections."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}" if name else key)
    else:
        yield name, value


class Drawn:
    """A store with one run, whose artifacts are published one by one."""

    def __init__(
        self, root, labels=("benign", "tumour"), template=PLAIN, arms=("label-only", "mep"), spread=False, useful=False
    ):
        self.root, self.labels, self.n_published, self.useful = root, list(labels), 0, useful
        self.vectors = np.random.default_rng(5).normal(size=(8, 3)) if spread else np.zeros((8, 3))
        self.folder = root / "images"
        self.folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        self.ids = [f"{number:02d}.png" for number in range(12)]
        for image_id in self.ids:
            save_picture(self.folder / image_id, rng, size=40)
        self.store = Store(root / "runs")
        recipe_file = root / "recipe.yaml"
        data = settings(self.folder, template=template)
        data["arms"] = {arm: data["arms"].get(arm, {"prompts": {"template": f"{arm} {{label}}"}}) for arm in arms}
        recipe_file.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
        self.recipe = load_recipe(recipe_file)
        run_folder = self.store.run_folder(RUN)
        run_folder.mkdir(parents=True)
        (run_folder / "recipe.yaml").write_text(self.recipe.text)
        (run_folder / "recipe.lock.yaml").write_text(lock_text(self.recipe, run_folder))
        row = {"run_id": RUN, "name": "drawn", "recipe_file": "recipe.yaml", "recipe_sha256": "", "state": "running"}
        row |= {"started_at": now(), "host": "here", "pid": 1, "environment": json.dumps(environment())}
        with self.store.db.write() as db:
            db.table("runs").insert(row)
            db.table("arms").insert_all(
                [{"run_id": RUN, "arm": arm, "position": place} for place, arm in enumerate(arms)]
            )
            for arm, experiment in self.recipe.arms.items():
                fields = leaves(experiment.model_dump(mode="json"))
                common = {"run_id": RUN, "arm": arm, "origin": "recipe.yaml:1:1"}
                db.table("parameters").insert_all(
                    [common | {"field": name, "value": json.dumps(value)} for name, value in fields]
                )

    def publish(self, artifact, arms, fill=lambda out: None):
        """Commit an artifact, as the runner does, and note its use and its attempt."""
        stage = maker_of(type(artifact))
        self.n_published += 1
        fingerprint = f"{self.n_published:032x}"
        out = self.store.work_folder(f"{stage.name}/{fingerprint}") / "out"
        out.mkdir(parents=True)
        artifact = type(artifact)(out) if hasattr(artifact, "folder") else artifact
        fill(out)
        artifact.save(out)
        ingredients = {"stage": stage.name, "version": stage.version, "inputs": {}}
        self.store.publish(ingredients, fingerprint, artifact, out, {"made_by": RUN})
        artifact_id = f"{stage.name}/{fingerprint}"
        self.attempt(artifact_id, "done")
        use = {"run_id": RUN, "stage": stage.name, "artifact_id": artifact_id, "how": "made"}
        with self.store.db.write() as db:
            db.table("uses").insert_all([use | {"arm": arm} for arm in arms])
        return artifact_id

    def add_arms(self, arms):
        with self.store.db.write() as db:
            db.table("arms").insert_all(
                [{"run_id": RUN, "arm": arm, "position": 10 + place} for place, arm in enumerate(arms)]
            )

    def copied_run(self, run_id, changed):
        """A second run that used the same artifacts, under a recipe with some fields changed."""
        shutil.copytree(self.store.run_folder(RUN), self.store.run_folder(run_id))
        with self.store.db.write() as db:
            for table in ("runs", "arms", "uses", "parameters"):
                rows = self.store.db.query(f"SELECT * FROM {table} WHERE run_id = ?", RUN)
                later = {"started_at": now()} if table == "runs" else {}
                db.table(table).insert_all([row | {"run_id": run_id} | later for row in rows])
            for field, value in changed.items():
                db.execute(
                    "UPDATE parameters SET value = ? WHERE run_id = ? AND field = ?", [json.dumps(value), run_id, field]
                )
        return run_id

    def attempt(self, artifact_id, state, error=""):
        row = {"run_id": RUN, "artifact_id": artifact_id, "why": "first time", "state": state, "error": error}
        with self.store.db.write() as db:
            db.table("attempts").insert(row | {"started_at": now(), "wall_s": 1.5, "peak_memory_mb": 640.0})

    def end(self, state="done", error=""):
        with self.store.db.write() as db:
            db.table("runs").update(RUN, {"state": state, "ended_at": now(), "error": error})
        return gather(self.store, [RUN])

    def shared_stages(self, arms=("label-only", "mep")):
        """Everything before the prompts."""
        ids, train = self.ids, self.ids[:8]
        labels = np.arange(12) % len(self.labels)
        source = next(iter(self.recipe.arms.values())).dataset.source
        sizes, digests = np.full((12, 2), 40), ["0" * 64] * 12
        self.publish(
            Images(ids, labels, self.labels, (np.arange(12) >= 8).astype(np.int8), digests, sizes, {}, source), arms
        )
        self.publish(Embeddings(train, self.vectors.astype(np.float32)), arms)
        kept = np.arange(8) != 7
        reasons = [""] * 7 + ["std_v 3.2 < 4, var_l 81.3 < 100"]
        self.publish(Inliers(train, kept, reasons, {"std_v": [9.0] * 7 + [3.2]}), arms)
        clusters = np.array([0, 0, 0, 0, 1, 1, 1, -1])
        distances = np.array([0.3, 0.1, 0.4, 0.2, 0.1, 0.2, 0.3, np.nan], np.float32)
        self.publish(Clusters(train, clusters, distances, {"centers": np.zeros((2, 3))}), arms)
        names = [self.labels[label] for label in labels[:7]]
        shortage = [f"{self.labels[0]}, cluster 1: 3 images left out"]
        self.publish(TrainingSet(train[:7], names, clusters[:7], np.ones(7), shortage), arms)
        self.publish(BaseModel(None), arms, fill_base)
        self.publish(Latents(None), arms, fill_latents)
        features = {"heldout": np.zeros((4, 3), np.float32)}
        self.publish(References({"random_conv": features}, {"random_conv": {"d": 3}}), arms)
        self.publish(HeldOutEmbeddings(list("abcd"), {"original": np.zeros((4, 3), np.float32)}), arms)

    def own_stages(self, arm, value=44.0, halves=None, **protocol):
        """Everything from the prompts on: samples, and a Fréchet distance of `value`."""
        template = self.recipe.arms[arm].prompts.template
        prompts = [
            Prompt(f"p{n}", template.split("{")[0] + label, label, None, 3) for n, label in enumerate(self.labels)
        ]
        of_image = {image_id: n % len(prompts) for n, image_id in enumerate(self.ids[:7])}
        self.publish(Prompts(prompts, of_image), [arm])
        self.publish(Model(None), [arm], fill_model)
        self.publish(Samples(None), [arm], lambda out: fill_samples(out, prompts))
        self.publish(assignment(self.labels), [arm])
        measured = scores(value, base_halves() if halves is None else halves, **protocol)
        near = {"file_name": "images/p0/000001.png", "train": self.ids[0], "distance": 0.25, "ratio": 0.5}
        self.publish(replace(measured, closest={"random_conv": [near]}), [arm])
        if self.useful:
            self.publish(utility(), [arm])
            self.publish(privacy(), [arm])


def save_picture(path, rng, size):
    ramp = np.linspace(60, 200, size)[:, None, None] + rng.normal(0, 20, (size, size, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(ramp * rng.uniform(0.6, 1.2, 3), 0, 255).astype(np.uint8)).save(path)


def fill_base(out):
    write_json(out / "base.json", {"kind": "scratch", "resolution": 40})
    for step in range(60):
        append_json_line(out / "losses.jsonl", {"step": step, "loss": 1 / (1 + step)})


def fill_model(out):
    write_json(out / "training.json", {"steps": 60, "images": 7, "parameters": 1000})
    for step in range(60):
        append_json_line(out / "losses.jsonl", {"step": step, "loss": 2 - step / 60})
    for step in (20, 40, 60):
        append_json_line(out / "validation.jsonl", {"step": step, "loss": 2 - step / 90, "n": 4})
        save_picture(out / "looks" / f"{step:09d}.png", np.random.default_rng(step), size=40)


def fill_latents(out):
    write_json(out / "latents.json", {"images": 7, "symmetries": 1, "shape": "1x1x1"})


def assignment(labels):
    """Of four samples three are in the cluster that was asked for, of four real images of two slides all."""
    right = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]])
    wrong = right.copy()
    wrong[3, 1] = 0
    names = {part: list("abcd") for part in ("heldout", "samples")}
    parts = {"heldout": right, "floor": right, "samples": wrong}
    return Assignment(names, parts, 2, labels, {"d": 3}, slides=["S1", "S1", "S2", "S2"])


def utility():
    """AUROC 0.7 of synthetic images alone, 0.9 with 100 real ones, 0.8 of those alone."""
    rows = []
    for metric, subject, group, value, n in (
        ("auroc", "samples", "all", 0.7, 0),
        ("auroc_gap", "samples", "all", -0.1, 0),
        ("auroc", "samples", "100 % real + all synthetic", 0.9, 100),
        ("auroc", "train", "all", 0.8, 100),
        ("auroc", "train", "50 % real + all synthetic", 0.75, 50),
    ):
        row = {"metric": metric, "subject": subject, "group": group, "value": value, "se": 0.02, "better": "higher"}
        row |= {"reference": "heldout", "n_real": 4, "n_fake": 4, "extractor": "linear probe", "n_train_real": n}
        statement = {"statement": "Not told apart."} if "gap" in metric else {}
        rows.append(ScoreRow.from_json(row | {"flags": [], "seed": 1} | statement))
    return Utility(rows, np.random.default_rng(0).normal(size=(len(rows), 100)))


def attack(metric="membership_loss", area=(0.61, 0.56, 0.66), unseen=0.65, excess=(-0.04, -0.08, 0.01), **columns):
    """The rows of an attack: its AUROC with the interval, and what it exceeds that of unseen images by."""
    common = {"subject": "samples", "better": "lower", "reference": "train", "n_real": 256, "n_fake": 256, "seed": 0}
    common |= {"extractor": "membership", "flags": []}
    numbers = {metric: (area, unseen), f"{metric}_excess": (excess, 0.0), f"{metric}_tpr10": ((0.13, 0.09, 0.18), 0.1)}
    if unseen is None:
        numbers = {metric: (area, None)}
    return [
        ScoreRow.from_json(
            common | {"metric": name, "value": value, "se": 0.02, "low": low, "high": high, "null": null} | columns
        )
        for name, ((value, low, high), null) in numbers.items()
    ]


def privacy():
    """An attack by the loss that finds no more than a shift, and one that could not be tried."""
    none = {"extractor": "membership", "flags": ["no_value"], "reason": "the model was trained from nothing"}
    none |= {"metric": "membership_calibrated", "subject": "samples", "reference": "train", "better": "lower"}
    refused = ScoreRow.from_json(none)
    rows = [*attack(), refused]
    return Privacy(rows, np.random.default_rng(0).normal(size=(len(rows), 100)))


def fill_samples(out, prompts):
    rng = np.random.default_rng(1)
    for prompt in prompts:
        for ordinal in range(2):
            name = f"images/{prompt.id}/{ordinal:06d}.png"
            save_picture(out / name, rng, size=40)
            row = {"file_name": name, "text": prompt.text, "label": prompt.label, "prompt_id": prompt.id}
            append_json_line(out / "metadata.jsonl", row | {"ordinal": ordinal, "seed": ordinal})


def base_halves():
    return 50 + np.random.default_rng(3).normal(0, 2, N_HALVES)


def better_halves():
    """12.8 below the baseline's halves, one more and one less in turn: their differences spread by √(40/39)."""
    return base_halves() - 12.8 + np.where(np.arange(N_HALVES) % 2, 1.0, -1.0)


def scores(fd, halves, *, n=32, seed=1, digest="ab" * 32, flags=(), se=2.0, too_few=()):
    """Fréchet distance, kernel distance and precision of samples; of real training images and of the floor as well."""
    rows, spread_of_rows = [], []
    for metric, better, factor in (("fd", "lower", 1.0), ("kid", "lower", 0.001), ("precision", "higher", 0.01)):
        for subject, value in (("samples", fd), ("train", 11.5), ("floor", 20.25)):
            row = {
                "metric": metric,
                "subject": subject,
                "value": value * factor,
                "se": None if se is None else se * factor,
            }
            row |= {"better": better, "reference": "heldout", "group": "all", "n_real": n, "n_fake": n}
            row |= {"extractor": "random_conv", "digest": digest, "d": 64, "eval_resolution": 40, "settings": {}}
            row |= {"seed": seed, "version": "0.1.0", "flags": list(flags)}
            if metric in too_few:
                row |= {"value": None, "se": None, "flags": [*flags, "too_few_images"]}
            rows.append(ScoreRow.from_json(row))
            spread_of_rows.append(halves * factor)
    return Scores(rows, np.stack(spread_of_rows))


def finished(drawn, **protocol):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    drawn.own_stages("mep", value=31.2, halves=better_halves(), **protocol)
    return drawn.end()

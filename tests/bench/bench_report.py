"""How long a report takes: python tests/bench/bench_report.py [table] [page] [live]

table   `mep report '*'` on a store with 500 runs of 60 metrics, each beside two references, as a process of its own
page    the HTML of 5 arms x 66 prompts x 16 samples of 96 px, and how long Chromium needs to load it
live    the page of a run at work: five arms of 15,000 steps, four of them done, rewritten every minute

Stores are made by hand in a temporary folder, with the arms and artifacts of the tests' drawn run.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from drawn_run import RUN, Drawn, leaves, save_picture, scores  # type: ignore[import-not-found]

from mep.artifacts import Model, Prompt, Prompts, Samples
from mep.artifacts.score_row import Estimate
from mep.machine.files import append_json_line, write_json
from mep.report import gather, write_html
from mep.store import now

N_RUNS, N_METRICS = 500, 60
N_ARMS, N_PROMPTS, N_SAMPLES, SIDE, N_STEPS = 5, 66, 16, 96, 15_000


def table(root: Path) -> None:
    drawn = Drawn(root, arms=["main"])
    fill(drawn)
    call = [sys.executable, "-m", "mep", "--runs", str(drawn.store.root), "report", "*"]
    for name, options in {
        "table of the overview": [],
        "table of all metrics": ["--columns", "."],
        "csv": ["--format", "csv"],
        "json": ["--format", "json"],
        "with differences": ["--columns", ".", "--baseline", "run-000/main"],
    }.items():
        took, worked = min(seconds_of([*call, *options]) for _ in range(3))
        print(f"{N_RUNS} runs x {N_METRICS} metrics, {name}: {took:.2f} s ({worked:.2f} s of CPU)")


def seconds_of(call: list[str]) -> tuple[float, float]:
    """Wall time and CPU time of a process."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, worked


def fill(drawn: Drawn) -> None:
    """Runs with a score artifact each; the rows go in at once, for 500 commits would take minutes."""
    rng = np.random.default_rng(0)
    template = scores(40.0, 50 + rng.normal(0, 2, 40))
    names = ["fd", "kid", "precision"] + [f"metric_{number}" for number in range(N_METRICS - 3)]
    fields = dict(leaves(next(iter(drawn.recipe.arms.values())).model_dump(mode="json")))
    base = drawn.store.db.query("SELECT * FROM runs")[0]
    with drawn.store.db.write() as db:
        for number in range(N_RUNS):
            run_id, artifact_id = f"run-{number:03d}", f"metrics/{number:032x}"
            db.table("runs").insert(base | {"run_id": run_id, "state": "done", "ended_at": now()})
            db.table("arms").insert({"run_id": run_id, "arm": "main", "position": 0})
            changed = fields | {"training.steps": number, "seed": 1}
            own = {"run_id": run_id, "arm": "main", "origin": "default"}
            db.table("parameters").insert_all(
                [own | {"field": name, "value": json.dumps(value)} for name, value in changed.items()]
            )
            made = {"artifact_id": artifact_id, "stage": "metrics", "fingerprint": artifact_id[8:], "version": 1}
            made |= {
                "made_by": run_id,
                "made_at": now(),
                "n_files": 2,
                "n_bytes": 1,
                "ingredients": "{}",
                "facts": "{}",
            }
            db.table("artifacts").insert(made)
            use = {"run_id": run_id, "arm": "main", "stage": "metrics", "artifact_id": artifact_id, "how": "made"}
            db.table("uses").insert(use)
            rows = []
            for place, name in enumerate(names):
                for row in template.rows[:3]:
                    estimate = Estimate(40 + rng.normal()) if row.subject == "samples" else row.estimate
                    protocol = replace(row.protocol, settings={"place": place})
                    rows.append(replace(row, metric=name, estimate=estimate, protocol=protocol).to_sql())
            db.table("scores").insert_all(
                [row | {"artifact_id": artifact_id, "row": place} for place, row in enumerate(rows)]
            )
            folder = drawn.store.root / "store" / artifact_id
            folder.mkdir(parents=True)
            np.save(folder / "halves.npy", rng.normal(40, 2, (len(rows), 40)))
        db.execute("DELETE FROM runs WHERE run_id = ?", [RUN])


def page(root: Path) -> None:
    arms = [f"arm-{number}" for number in range(N_ARMS)]
    drawn = Drawn(root, arms=arms)
    drawn.shared_stages(arms)
    prompts = [Prompt(f"p{n:02d}", f"Histology image, type {n}", drawn.labels[n % 2], n, 3) for n in range(N_PROMPTS)]
    for arm in arms:
        drawn.publish(Prompts(prompts, {image_id: n for n, image_id in enumerate(drawn.ids[:7])}), [arm])
        drawn.publish(Samples(None), [arm], lambda out: fill_samples(out, prompts))
        drawn.publish(scores(40.0, 50 + np.random.default_rng(0).normal(0, 2, 40)), [arm])
    drawn.end()
    started, worked = time.perf_counter(), time.process_time()
    write_html(gather(drawn.store, [RUN]), root / "page.html")
    took, worked = time.perf_counter() - started, time.process_time() - worked
    told = f"{took:.1f} s ({worked:.1f} s of CPU), {(root / 'page.html').stat().st_size / 1e6:.1f} MB"
    print(f"page of {N_ARMS} arms x {N_PROMPTS} prompts x {N_SAMPLES} samples: {told}")
    chromium = shutil.which("chromium")
    if chromium:
        print(f"Chromium loads it in {loading_s(chromium, root):.2f} s")


def live(root: Path) -> None:
    from run_at_work import training_at_work  # type: ignore[import-not-found]

    from mep.report.page.index import write_index
    from mep.report.page.running import EVERY_S, write_running
    from mep.store import locks

    arms = ["mep", *(f"arm-{number}" for number in range(1, N_ARMS))]
    drawn = Drawn(root, arms=arms)
    drawn.shared_stages(arms)
    for arm in arms[1:]:
        drawn.publish(Model(None), [arm], fill_training)
    fill_training(training_at_work(drawn, n_losses=N_STEPS, reached={50: 250}))
    path = drawn.store.run_folder(RUN) / "report.html"
    took = []
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        for _ in range(6):
            worked = time.process_time()
            write_running(drawn.store, RUN, path)
            write_index(drawn.store)
            took.append(time.process_time() - worked)
    share = 100 * sorted(took[1:])[2] / EVERY_S
    told = f"{sorted(took[1:])[2]:.2f} s of CPU ({took[0]:.2f} s the first time), {share:.1f} % of {EVERY_S} s"
    print(f"page of a run at work, {N_ARMS} trainings of {N_STEPS} steps: {told}, {path.stat().st_size / 1e6:.1f} MB")


def fill_training(out: Path) -> None:
    """Losses, validation and samples as a training leaves them."""
    write_json(out / "training.json", {"steps": N_STEPS, "images": 7, "parameters": 1000})
    with (out / "losses.jsonl").open("w") as log:
        log.writelines(json.dumps({"step": step, "loss": 1 / (1 + step)}) + "\n" for step in range(N_STEPS))
    for step in range(1000, N_STEPS + 1, 1000):
        append_json_line(out / "validation.jsonl", {"step": step, "loss": 1 / step, "n": 4})
        save_picture(out / "looks" / f"{step:09d}.png", np.random.default_rng(step), size=4 * SIDE)


def fill_samples(out: Path, prompts: list[Prompt]) -> None:
    """Crops of real tissue, which compress like samples of a good model."""
    from skimage.data import immunohistochemistry

    tissue, rng = immunohistochemistry(), np.random.default_rng(0)
    for prompt in prompts:
        (out / "images" / prompt.id).mkdir(parents=True)
        for ordinal in range(N_SAMPLES):
            y, x = rng.integers(0, 512 - SIDE, 2)
            name = f"images/{prompt.id}/{ordinal:06d}.png"
            Image.fromarray(tissue[y : y + SIDE, x : x + SIDE]).save(out / name)
            row = {"file_name": name, "text": prompt.text, "label": prompt.label, "prompt_id": prompt.id}
            row |= {"cluster": prompt.cluster, "ordinal": ordinal, "seed": ordinal}
            append_json_line(out / "metadata.jsonl", row)


def loading_s(chromium: str, root: Path) -> float:
    """From navigation to the load event, as the browser measures it."""
    took = "performance.timing.loadEventEnd - performance.timing.navigationStart"
    told = f"<script>onload = () => setTimeout(() => {{ document.title = {took}; }})</script>"
    text = (root / "page.html").read_text()
    start, end = text.index('<meta http-equiv="Content-Security-Policy"'), text.index('<meta name="color-scheme"')
    (root / "timed.html").write_text(text[:start] + text[end:].replace("</body>", told + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={root / 'profile'}", "--timeout=20000"]
    call = [chromium, *flags, "--dump-dom", f"file://{root / 'timed.html'}"]
    dom = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    return float(dom.split("<title>")[1].split("<")[0]) / 1000


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for part in sys.argv[1:] or ("table", "page", "live"):
        with tempfile.TemporaryDirectory() as folder:
            {"table": table, "page": page, "live": live}[part](Path(folder))

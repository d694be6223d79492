"""What reading a recipe costs, and what broken ones do. Run by hand:

python tests/bench/bench_recipes.py            start-up times beside the bare imports, and a plan of 50 arms
python tests/bench/bench_recipes.py fuzz N     N mutated recipes: the slowest, the largest, and any traceback
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "support"))


def cpu_s(command: list[str], n: int = 7) -> tuple[float, float]:
    """Least wall-clock and CPU seconds of n calls."""
    walls, cpus = [], []
    # As where mep is installed: with compiled modules, which some development machines switch off.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(n):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(cpus)


def start_up() -> None:
    mep = [sys.executable, "-m", "mep"]
    bare = cpu_s([sys.executable, "-c", "import pydantic, yaml, click"])
    model = cpu_s([sys.executable, "-c", "import yaml, click; from pydantic import BaseModel, Field"])
    print(f"import pydantic, yaml, click      {bare[0]:.3f} s wall  {bare[1]:.3f} s CPU")
    print(f"  and pydantic's BaseModel        {model[0]:.3f} s wall  {model[1]:.3f} s CPU")
    for name, arguments in {
        "mep --help": ["--help"],
        "mep validate quickstart": ["validate", "recipes/quickstart.yaml"],
    }.items():
        wall, cpu = cpu_s([*mep, *arguments])
        print(f"{name:<33} {wall:.3f} s wall  {cpu:.3f} s CPU  {cpu / bare[1]:.1f}x the bare imports")
    with tempfile.TemporaryDirectory() as folder:
        text = (REPOSITORY / "recipes/starter.yaml").read_text().partition("\narms:")[0]
        rates = ", ".join(f"{n}e-5" for n in range(1, 51))
        matrix = f"matrix: {{axes: {{lr: {{field: training.learning_rate, values: [{rates}]}}}}}}"
        (Path(folder) / "many.yaml").write_text(f"{text}\n{matrix}\n")
        plan = [*mep, "--runs", f"{folder}/runs", "plan", f"{folder}/many.yaml"]
        cpu_s(plan, 1)  # fills the memory of file hashes
        wall, cpu = cpu_s(plan, 3)
        print(f"{'mep plan, 50 arms':<33} {wall:.3f} s wall  {cpu:.3f} s CPU")


def fuzz(n: int) -> None:
    from mutations import changed, damaged

    from mep.errors import RecipeError
    from mep.recipe import load_recipe

    texts = [path.read_text() for path in sorted((REPOSITORY / "recipes").glob("*.yaml"))]
    texts.append(
        texts[0] + "\nvars: {a: 1}\nmatrix: {axes: {k: {field: clustering.method.k, values: [2, 3]}}}\nseeds: 2\n"
    )
    trees = [yaml.safe_load(text) for text in texts]
    draw = random.Random(n)
    n_valid, slowest = 0, 0.0
    load_recipe(REPOSITORY / "recipes/quickstart.yaml")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        for number in range(n):
            if number % 2:
                path.write_bytes(damaged(draw.choice(texts), draw))
            else:
                path.write_text(yaml.safe_dump(changed(draw.choice(trees), draw), sort_keys=False))
            start = time.perf_counter()
            try:
                load_recipe(path, paths_must_exist=False)
                n_valid += 1
            except RecipeError:
                pass  # what a broken recipe is meant to give; anything else ends this program with its traceback
            except BaseException:
                print(path.read_bytes())
                raise
            slowest = max(slowest, time.perf_counter() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{n} recipes: {n_valid} valid, {n - n_valid} refused, no traceback")
    print(f"slowest {slowest:.2f} s, at most {grown:.0f} MB more than before")


if __name__ == "__main__":
    fuzz(int(sys.argv[2])) if sys.argv[1:2] == ["fuzz"] else start_up()

"""What frames a study: title, introduction, design, discussion, and what is said of it elsewhere."""

from collections.abc import Iterator

import mep
from mep.artifacts import Model
from mep.diffusion.families import family_of
from mep.recipe.controls import is_control
from mep.report.tables.trust import distrust
from mep.report.text import listed, plain
from mep.sharing.claim import Item
from mep.sharing.finished import Finished


def technology(shared: Finished) -> Iterator[str]:
    model = shared.arm.get(Model)
    if model is not None and model.pipeline.is_dir():
        yield f"Generative AI: a latent diffusion model ({family_of(model.pipeline).pipeline})."


def summary(shared: Finished) -> Iterator[str]:
    yield from shared.sentences


def aims(shared: Finished) -> Iterator[str]:
    arms = [plain(label) for label in shared.comparison.arms if not is_control(label)]
    varied = [plain(field) for field in shared.comparison.fields]
    yield f"Compared: {listed(arms)}." if len(arms) > 1 else f"One arm: {listed(arms)}."
    if varied:
        yield f"They differ in {listed(varied)}."
    if shared.run.recipe.description:
        yield plain(shared.run.recipe.description)


def limits(shared: Finished) -> Iterator[str]:
    if shared.run.recipe.seeds == 1:
        yield "One training an arm: the run speaks of these images, not of the methods, as far as no spread is known."
    if not shared.run.recipe.controls:
        yield "No controls were run."
    if not shared.arm.experiment.dataset.group:
        yield "No patients or slides were named: images of one patient may lie on both sides of the split."
    yield from distrust(shared.comparison)


def protocol(shared: Finished) -> Iterator[str]:
    sha256 = shared.run.provenance["recipe_sha256"]
    yield f"Run {shared.run.run_id}; every setting, version and digest stands in its recipe.lock.yaml."
    if sha256:
        yield f"sha256 of the recipe: {sha256}."


def availability(shared: Finished) -> Iterator[str]:
    yield f"Software: mep {mep.__version__}, Apache-2.0."
    yield "Model and synthetic images can be had as `mep publish` writes them, once they are published."


FRONT, DESIGN, BACK = "Title, abstract, introduction", "Study design", "Discussion and other"
ITEMS = [
    Item(1, FRONT, "The title or abstract says that this is AI, and which kind", technology, "Say it there."),
    Item(2, FRONT, "A structured abstract", summary, "Design, methods and conclusions."),
    Item(3, FRONT, "Background, and the intended use and role of the AI", gap="All of it."),
    Item(4, FRONT, "Aims, objectives, hypotheses", aims, "The hypothesis, and why it matters."),
    Item(5, DESIGN, "Prospective or retrospective", gap="Which of both."),
    Item(6, DESIGN, "Goal of the study", aims, "Such as feasibility, or non-inferiority with its margin."),
    Item(40, BACK, "Limitations", limits, "Those of the data, of the design, of generalisation."),
    Item(41, BACK, "What it means for practice", gap="Intended use, and what it must not be used for."),
    Item(42, BACK, "Where the full protocol is", protocol, "A registry or an address."),
    Item(43, BACK, "Whether software, model and data can be had", availability, "Addresses, licences, conditions."),
    Item(44, BACK, "Funding, and what funders decided", gap="All of it."),
]

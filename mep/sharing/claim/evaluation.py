"""What a study says of its numbers."""

from collections.abc import Iterator

from mep.artifacts import HELDOUT, Images, Samples
from mep.report.data.artifacts import OpenArm
from mep.report.tables.assay import assay_of
from mep.report.tables.comparison import Metric
from mep.report.tables.verdict import headline
from mep.report.text import bracketed, difference_text, listed, plain
from mep.sharing.claim import Item
from mep.sharing.finished import Finished

OF_PATIENTS = ("copy_rate", "membership_")
DIAGNOSTIC = ("auroc", "auroc_gap", "sensitivity", "specificity", "ece")


def overview(shared: Finished) -> list[Metric]:
    """The metrics that tables show first."""
    return [metric for metric in shared.comparison.metrics if metric.in_overview and metric.group == "all"]


def told(metric: Metric) -> str:
    """A number of every arm, and the differences from the baseline."""
    arms = [f"{plain(label)} {number.shown}" for label, number in metric.arms.items()]
    deltas = [
        f"difference of {plain(label)} {difference_text(delta, metric.scale)} {bracketed(delta, metric.scale)}"
        for label, delta in metric.differences.items()
    ]
    times = " (×1000)" if metric.scale == 1000 else ""
    return f"{metric.name}, {plain(metric.extractor)}, {metric.reference}{times}: {'; '.join([*arms, *deltas])}."


def sample_size(shared: Finished) -> Iterator[str]:
    if images := shared.arm.get(Images):
        inside = images.splits == HELDOUT
        groups = f" of {len(set(images.groups[inside].tolist()))} groups" if images.group else ""
        yield f"{int(inside.sum())} held-out images{groups}."
    yield from [text for text in shared.sentences if text.startswith("The smallest difference")]


def metrics(shared: Finished) -> Iterator[str]:
    names = dict.fromkeys(f"{metric.name} ({plain(metric.extractor)})" for metric in overview(shared))
    yield f"{listed(list(names))}." if names else "Nothing was measured."
    if first := headline(shared.comparison):
        yield f"The first, named before the run by a fixed rule: {first.name} to {first.reference} images."


def uncertainty(shared: Finished) -> Iterator[str]:
    halves, trainings = shared.arm.experiment.metrics.halves, shared.run.recipe.seeds
    yield f"95 % intervals, from closed forms or {halves} halves of the images."
    yield "p-values beside that of the first metric are adjusted after Holm."
    yield f"Trainings an arm: {trainings}."


def robustness(shared: Finished) -> Iterator[str]:
    assay = assay_of(shared.comparison)
    if assay:
        yield assay.sentence
    yield from (f"Control {row.control}: {row.told}." for row in (assay.rows if assay else ()))
    groups = dict.fromkeys(metric.group.split("=")[0] for metric in shared.comparison.metrics if "=" in metric.group)
    if groups:
        yield f"Measured within every {listed([plain(name) for name in groups])} as well."


def explanation(shared: Finished) -> Iterator[str]:
    yield from (told(metric) for metric in overview(shared) if metric.metric.endswith("_adherence"))


def internal(shared: Finished) -> Iterator[str]:
    if images := shared.arm.get(Images):
        n_images = int((images.splits == HELDOUT).sum())
        yield f"{n_images} held-out images of the same source, which nothing was fitted on."


def external(shared: Finished) -> Iterator[str]:
    yield "None: all real images are of one source."


def performance(shared: Finished) -> Iterator[str]:
    yield from (told(metric) for metric in overview(shared) if metric.metric not in DIAGNOSTIC)


def diagnostic(shared: Finished) -> Iterator[str]:
    found = [told(metric) for metric in overview(shared) if metric.metric in DIAGNOSTIC]
    yield from found or ["No classifier was trained on the synthetic images."]


def failures(shared: Finished) -> Iterator[str]:
    for arm in shared.run.arms:
        n_refused = _refused(arm)
        if n_refused:
            yield f"{plain(arm.label)}: {n_refused} drawings were refused (black, constant or not finite)."
    yield from (told(metric) for metric in overview(shared) if metric.metric.startswith(OF_PATIENTS))


def _refused(arm: OpenArm) -> int:
    samples = arm.get(Samples)
    return int(samples.facts().get("refused", 0)) if samples else 0


EVALUATION, RESULTS = "Evaluation", "Results: performance"
ITEMS = [
    Item(21, "Test data", "Intended size of the test set", sample_size, "How it was decided before the study."),
    Item(28, EVALUATION, "Metrics", metrics, "Why these fit the clinical question."),
    Item(29, EVALUATION, "Significance and uncertainty", uncertainty),
    Item(30, EVALUATION, "Robustness, sensitivity", robustness, "Other choices that were tried."),
    Item(31, EVALUATION, "Explainability", explanation, "Whether experts agree: `mep reader-study`, `mep clusters`."),
    Item(32, EVALUATION, "Internal test data", internal),
    Item(33, EVALUATION, "External test data", external, "Results on another source, or why there are none."),
    Item(34, EVALUATION, "Registration of a trial", gap="A number, or that it was no trial."),
    Item(37, RESULTS, "Performance with its uncertainty", performance),
    Item(38, RESULTS, "Diagnostic performance and its precision", diagnostic),
    Item(39, RESULTS, "Analysis of failures", failures, "Look at the worst images with an expert, and show some."),
]

from hypothesis import given
from hypothesis import strategies as st

from mep.artifacts import Prompt
from mep.methods.allocations.per_label import PerLabel
from mep.methods.allocations.per_prompt import PerPrompt


def prompt(label, cluster, n):
    return Prompt(f"{label}{cluster}", "text", label, cluster, n)


def test_arms_with_other_captions_generate_as_many_images_per_label():
    label_only = [prompt("a", None, 30), prompt("b", None, 30)]
    enriched = [prompt("a", 0, 10), prompt("a", 1, 10), prompt("a", 2, 10), prompt("b", 0, 15), prompt("b", 1, 15)]
    rule = PerLabel(kind="per_label", images=100)
    assert rule.counts(label_only) == [100, 100]
    assert rule.counts(enriched) == [34, 33, 33, 50, 50]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 300))
def test_the_images_of_a_label_add_up_exactly_and_follow_the_training_set(sizes, images):
    counts = PerLabel(kind="per_label", images=images).counts([prompt("a", c, n) for c, n in enumerate(sizes)])
    assert sum(counts) == images
    assert all(abs(count - images * n / sum(sizes)) < 1 for count, n in zip(counts, sizes, strict=True))


def test_a_fixed_number_per_prompt_is_that_number():
    assert PerPrompt(kind="per_prompt", images=3).counts([prompt("a", 0, 1), prompt("a", 1, 99)]) == [3, 3]

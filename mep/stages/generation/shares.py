"""How many images each prompt gets: what the allocation says, shared among steps of truth as training shows them."""

from collections.abc import Sequence
from dataclasses import replace

from mep.artifacts import Prompt
from mep.methods.allocations import Allocation, apportion
from mep.methods.allocations.table import Table
from mep.stages.prompts.truth import TRUTH


def without_truth(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Places of the prompts that differ in nothing but the truth that they name, group by group."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, prompt in enumerate(prompts):
        rest = tuple((name, text) for name, text in prompt.columns.items() if name != TRUTH)
        groups.setdefault((prompt.label, prompt.cluster, rest), []).append(place)
    return list(groups.values())


def counts_of(allocation: Allocation, prompts: Sequence[Prompt], real: Sequence[int]) -> list[int]:
    """Images for each prompt, in their order.

    real    training images of each prompt's label and cluster before balancing

    Prompts that differ only in their truth count as one for the allocation and share its images in proportion to their
    training images. An arm whose captions name the truth so gets as many images of each label as one whose do not, and
    the mix of truths that it was trained on. A table gives every prompt its own number.
    """
    if isinstance(allocation, Table) or not any(TRUTH in prompt.columns for prompt in prompts):
        return allocation.counts(prompts, real)
    groups = without_truth(prompts)
    merged = [replace(prompts[group[0]], n_images=sum(prompts[place].n_images for place in group)) for group in groups]
    counts = [0] * len(prompts)
    for group, total in zip(groups, allocation.counts(merged, [real[group[0]] for group in groups]), strict=True):
        for place, count in zip(group, apportion(total, [prompts[place].n_images for place in group]), strict=True):
            counts[place] = count
    return counts

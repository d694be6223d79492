"""Which images will be trained on, as far as their list tells before a split is drawn."""

from collections.abc import Iterable

from mep.machine.tables import value_text
from mep.methods.sources import Record
from mep.sections.dataset import DatasetConfig

UNLIKELY = 0.001
"""A chance that is taken for none."""


def may_be_trained(config: DatasetConfig, record: Record) -> bool:
    """Whether an image lies in no split of the source that is set aside."""
    return record.split not in (*config.holdout.splits, *config.validation.splits)


def some_are_trained(config: DatasetConfig, records: Iterable[Record]) -> bool:
    """Whether of these images some are not set aside, whatever is drawn.

    Whole groups are drawn, each with the chance of the share that is set aside; all of these are with that to the power
    of their number.
    """
    groups = set()
    for record in records:
        if may_be_trained(config, record):
            group = value_text(record.metadata.get(config.group)) if config.group else None
            groups.add(group or record.id)
    share = 1 - (1 - config.holdout.drawn) * (1 - config.validation.fraction)
    return bool(groups) and share ** len(groups) < UNLIKELY

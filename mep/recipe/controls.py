"""Controls: arms that have to come out in a known way, before anybody believes the others."""

from typing import Literal, TypeAlias, get_args

Control: TypeAlias = Literal["negative", "shuffled", "positive"]
CONTROLS: tuple[Control, ...] = get_args(Control)
"""What `controls:` may name: in this order they are run and reported."""
NEGATIVE, SHUFFLED, POSITIVE = (f"control-{name}" for name in CONTROLS)
CONTROL_ARMS = (NEGATIVE, SHUFFLED, POSITIVE)
"""What the arms are called. No other arm may have these names."""


def is_control(name: str) -> bool:
    """Whether an arm is a control: by its name, that of a repeat (`control-negative#2`) or with its run before it."""
    return name.rpartition("/")[2].partition("#")[0] in CONTROL_ARMS

"""Layers of a model by patterns of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mep.errors import DataError

if TYPE_CHECKING:
    from torch import nn


def expression(pattern: str) -> str:
    """The regular expression of a pattern, in which * stands for any characters."""
    return ".*".join(re.escape(part) for part in pattern.split("*"))


def fits(name: str, pattern: str) -> bool:
    """Whether the name of a layer is the pattern, or ends in a dot and the pattern."""
    return re.fullmatch(rf"(.*\.)?{expression(pattern)}", name) is not None


def changeable(core: nn.Module) -> list[str]:
    """Names of the layers that low-rank adaptation can change: linear ones and convolutions."""
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return [name for name, module in core.named_modules() if isinstance(module, kinds)]


def chosen(core: nn.Module, patterns: Sequence[str], field: str) -> list[str]:
    """Names of the changeable layers that fit one of the patterns; DataError where one fits none."""
    names = changeable(core)
    refuse_idle(patterns, names, "linear or convolution layer of the model", field)
    return [name for name in names if any(fits(name, pattern) for pattern in patterns)]


def refuse_idle(patterns: Iterable[str], names: Sequence[str], what: str, field: str) -> None:
    """DataError where a pattern fits none of the names: peft complains only where all of them do."""
    for pattern in patterns:
        if not any(fits(name, pattern) for name in names):
            endings = sorted({name.split(".")[-1] for name in names} - {str(n) for n in range(10)})
            raise DataError(
                f"no {what} is called {pattern!r}",
                hint=f"the layers end in {', '.join(endings)}; one of them is {names[len(names) // 2]}",
                field=field,
            )

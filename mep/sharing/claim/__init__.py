"""The items of CLAIM 2024, in words of our own, each with what the provenance of a run answers.

Source      Tejani, Klontzas, Gatti, Mongan et al. 2024, Radiology: Artificial Intelligence 6(4):e240300
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from mep.sharing.finished import Finished

Answer: TypeAlias = Callable[[Finished], Iterator[str]]


def nothing(shared: Finished) -> Iterator[str]:
    """What mep knows of most of a paper."""
    yield from ()


@dataclass(frozen=True)
class Item:
    """
    number      in the checklist
    part        of a paper that it belongs to
    asks        what it asks for, in words of our own
    answer      sentences that the provenance gives
    gap         what only the authors know; empty where the answer is all that is asked
    """

    number: int
    part: str
    asks: str
    answer: Answer = nothing
    gap: str = ""


@cache
def items() -> list[Item]:
    """All 44, in order: those of every file of this folder."""
    modules = [importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)]
    return sorted((item for module in modules for item in module.ITEMS), key=lambda item: item.number)

"""Captioners: what every training image is captioned with. One file, one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from mep.registry import Method

if TYPE_CHECKING:
    from mep.artifacts import Images


class Captioner(Method):
    """Says where the captions come from."""

    noun: ClassVar[str] = "captioner"

    def texts(self, images: Images) -> Sequence[str | None] | None:
        """A caption for each image, None where one has none; None in their place where the template makes them."""
        raise NotImplementedError

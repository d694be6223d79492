"""Captioners: what every training image is captioned with. One file, one way."""

from collections.abc import Sequence
from typing import ClassVar

from mep.artifacts import Images
from mep.registry import Method


class Captioner(Method):
    """Says where the captions come from."""

    noun: ClassVar[str] = "captioner"

    def texts(self, images: Images) -> Sequence[str | None] | None:
        """A caption for each image, None where one has none; None in their place where the template makes them."""
        raise NotImplementedError

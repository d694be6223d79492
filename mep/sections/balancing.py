"""The section `balancing`: which images are trained on."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mep.config import Config
from mep.methods.balancers import Balancer
from mep.registry import OneOf
from mep.sections.columns import Columns, names_of

FINDING = "finding"
"""Key of the rarest finding that an image shows."""


def _listed(by: object) -> object:
    """`by: {age: 10}` is `by: [{age: 10}]`."""
    return [by] if isinstance(by, dict) else by


class BalancingConfig(Config):
    """What picks the training images."""

    method: OneOf[Balancer]
    by: Annotated[Columns, BeforeValidator(_listed)] = Field(("label", "cluster"), min_length=1)
    """What a group is: label, cluster, or columns named in dataset.columns; {age: 10} cuts numbers into steps of a
    width. Of images with several findings label is all of them together, a finding's name whether it is there, and
    `finding` the rarest that an image shows. uniform_per_prompt keeps as many groups for every value of the first.
    Without labels the label counts for nothing."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What groups are of, without the widths of steps."""
        return tuple(names_of(self.by))

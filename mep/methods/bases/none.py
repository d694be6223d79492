from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.methods.bases import Base

if TYPE_CHECKING:
    from mep.artifacts import Images
    from mep.machine.work import Work


class NoBase(Base):
    """No model, where every arm's images were made elsewhere; `resolution` is the side at which images are compared.

    There is then no autoencoder, and no score of what one leaves of real images.
    """

    kind: Literal["none"]

    def build(self, images: Images, work: Work) -> dict[str, str]:
        return {}

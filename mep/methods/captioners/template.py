from typing import Literal

from mep.artifacts import Images
from mep.methods.captioners import Captioner


class Template(Captioner):
    """Fills `prompts.template` with the record of each image: label, cluster and columns."""

    kind: Literal["template"]

    def texts(self, images: Images) -> None:
        return None

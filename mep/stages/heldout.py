"""Held-out embedding: vectors of held-out images, in which generated ones are compared with what they can reach."""

from functools import partial

from mep.artifacts import BaseModel, HeldOutEmbeddings, Images
from mep.machine.work import Work
from mep.sections.embedding import EmbeddingConfig
from mep.stage import stage
from mep.stages.embedding import Embed, embedded
from mep.stages.references import Squares, reconstructor


@stage(version=1, section="embedding")
def heldout(config: EmbeddingConfig, images: Images, base: BaseModel, *, work: Work) -> HeldOutEmbeddings:
    """Embed held-out images as they are, at the resolution of the model, and after a pass through its autoencoder."""
    held_out, size = images.held_out, work.machine.batch_size
    if (known := config.model.known(held_out.ids)) is not None:
        return HeldOutEmbeddings(held_out.ids, {"original": known})  # other pixels than the table saw have no vector
    rows, resized = range(len(held_out)), Squares(held_out, base.resolution)
    original = Embed(config, partial(map, held_out.reader), size)
    vectors = {
        "original": embedded("original", original, held_out.ids, work),
        "heldout": embedded("heldout", Embed(config, resized, size), rows, work),
    }
    if base.pipeline.is_dir():
        reconstructions = Embed(config, resized, size, partial(reconstructor, base))
        vectors["floor"] = embedded("floor", reconstructions, rows, work)
    return HeldOutEmbeddings(held_out.ids, vectors)

"""Arrays kept by content: computed once, never out of date."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from training_parts import Inputs

from mep.artifacts import Images, TrainingSet
from mep.artifacts.base import load_table
from mep.errors import Interrupted
from mep.machine.array_cache import SHARD_ROWS, ArrayCache
from mep.machine.work import Work
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.training import LatentsConfig
from mep.stages.latents import latents


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


def counting(calls, keys):
    def compute(rows):
        calls.append([keys[row] for row in rows])
        return np.stack([np.full(2, float(keys[row])) for row in rows])

    return compute


def values(cache, keys, calls, work=None):
    places = cache.fill(keys, counting(calls, keys), work or Work(folder=cache.folder.parent))
    return [float(cache.read(places[key].shard)[places[key].row, 0]) for key in keys]


def test_only_keys_that_are_new_are_computed(tmp_path):
    cache, calls = ArrayCache(tmp_path / "cache"), []
    assert values(cache, ["1", "2", "1"], calls) == [1, 2, 1]
    assert values(cache, ["3", "2"], calls) == [3, 2]
    assert calls == [["1", "2"], ["3"]]


def test_a_stopped_filling_keeps_its_whole_shards(tmp_path):
    cache, calls, keys = ArrayCache(tmp_path / "cache"), [], [str(n) for n in range(2 * SHARD_ROWS)]
    stops = iter([None, 15])
    with pytest.raises(Interrupted):
        values(cache, keys, calls, Work(folder=tmp_path, stop_signal=lambda: next(stops)))
    assert values(cache, keys, calls) == [float(key) for key in keys]
    assert [len(call) for call in calls] == [SHARD_ROWS, SHARD_ROWS]


class Watched(set):
    """Counts what is taken from it."""

    taken = 0

    def __isub__(self, others):
        type(self).taken += len(others)
        return Watched(super().__sub__(set(others)))


def test_finding_keys_looks_at_each_once_however_many_shards_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr("mep.machine.array_cache.SHARD_ROWS", 2)
    monkeypatch.setattr("mep.machine.array_cache.set", Watched, raising=False)
    cache, keys = ArrayCache(tmp_path / "cache"), [str(n) for n in range(20)]
    values(cache, keys, [])
    Watched.taken = 0
    assert len(cache.find(keys)) == 20
    assert Watched.taken == 20


def test_a_damaged_shard_is_made_again(tmp_path):
    cache, calls = ArrayCache(tmp_path / "cache"), []
    values(cache, ["1"], calls)
    (path,) = cache.folder.glob("*.npy")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    assert values(cache, ["1"], calls) == [1]
    assert len(calls) == 2


def encoded(inputs, folder, cache, config=None, images=None):
    work = Work(folder=folder, cache=cache)
    config = config or LatentsConfig()
    return latents.function(config, images or inputs.images, inputs.training_set, inputs.base, work=work)


def posteriors(found):
    places = found.places
    found_at = {image_id: places(image_id) for image_id in places.of_image}
    return {image_id: np.array(found.shard(shard)[row]) for image_id, (shard, row) in found_at.items()}


def test_an_edited_image_and_another_set_of_symmetries_make_new_latents_and_nothing_else(inputs, tmp_path):
    from dataclasses import replace

    cache = tmp_path / "cache"
    first = posteriors(encoded(inputs, tmp_path / "1", cache))
    shards = set(cache.rglob("*.npy"))
    again = encoded(inputs, tmp_path / "2", cache)
    assert set(cache.rglob("*.npy")) == shards
    assert all(np.array_equal(first[name], one) for name, one in posteriors(again).items())
    edited = inputs.training_set.ids[0]
    digests = [
        "edited" if name == edited else one for name, one in zip(inputs.images.ids, inputs.images.sha256, strict=True)
    ]
    encoded(inputs, tmp_path / "3", cache, images=replace(inputs.images, sha256=digests))
    (new,) = set(cache.rglob("*.npy")) - shards
    assert len(np.load(new)) == 1
    encoded(inputs, tmp_path / "4", cache, LatentsConfig(symmetries="mirror"))
    assert len({path.parent for path in cache.rglob("*.npy")}) == 2


def test_another_window_of_deep_grey_makes_new_latents(inputs, tmp_path):
    """The digest of such an image is of what is stored, not of what is seen through the window."""
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(2):
        grey = np.random.default_rng(number).integers(0, 4096, (16, 16)).astype(np.uint16)
        Image.fromarray(grey).save(folder / f"{number}.png")
    images = Images(
        ["0.png", "1.png"], np.full(2, -1), [], np.zeros(2, np.int8), ["0", "1"], np.full((2, 2), 16), {},
        ImageFolder(kind="imagefolder", path=folder), pixels={"window": [0, 4095]},
    )  # fmt: skip
    chosen = TrainingSet(images.ids, [None] * 2, np.zeros(2, int), np.ones(2), [])
    read = []
    for number, window in enumerate(([0, 4095], [0, 1000])):
        one = replace(images, pixels={"window": window})
        work = Work(folder=tmp_path / f"window{number}", cache=tmp_path / "cache")
        found = latents.function(LatentsConfig(symmetries="none"), one, chosen, inputs.base, work=work)
        places = [found.places(image_id) for image_id in one.ids]
        read.append(np.stack([found.shard(shard)[row] for shard, row in places]))
    assert not np.allclose(read[0], read[1])


def test_latents_do_not_depend_on_what_was_encoded_before(inputs, tmp_path):
    alone = posteriors(encoded(inputs, tmp_path / "1", tmp_path / "cache"))
    from dataclasses import replace

    kept = inputs.training_set
    inputs.training_set = replace(kept, ids=kept.ids[3:7])
    encoded(inputs, tmp_path / "2", tmp_path / "other")
    inputs.training_set = kept
    after = posteriors(encoded(inputs, tmp_path / "3", tmp_path / "other"))
    assert alone.keys() == after.keys()
    assert all(np.array_equal(alone[name], after[name]) for name in alone)


def test_latents_hold_mean_and_deviation_of_every_symmetry(inputs, tmp_path):
    import torch

    from mep.diffusion.pipelines import load_part, to_tensor
    from mep.imaging.pixels import symmetry

    found = encoded(inputs, tmp_path / "1", tmp_path / "cache", LatentsConfig(symmetries="square"))
    assert found.facts() == {"images": 22, "symmetries": 8, "shape": "2x8x8"}
    image_id = inputs.training_set.ids[2]
    row = inputs.images.ids.index(image_id)
    vae = load_part(inputs.base.pipeline, "vae", "cpu")
    with torch.no_grad():
        pixels = symmetry(inputs.images.read_square(row, 16), 5)
        plain = vae.encode(to_tensor(pixels[None])).latent_dist
    mean, std = posteriors(found)[image_id][5]
    assert np.allclose(mean, plain.mean[0], atol=1e-5)
    assert np.allclose(std, plain.std[0], rtol=1e-4)
    assert load_table(found.folder / "index.parquet")["id"] == [
        *inputs.training_set.ids,
        *inputs.training_set.validation.ids,
    ]

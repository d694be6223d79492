"""The stage `calibration` on real pixels: what it measures, what it leaves out, and how it goes on after a stop."""

from dataclasses import replace

import numpy as np
import pytest
from machines import machine
from small_data import draw, in_memory

from mep.artifacts import HELDOUT, Calibration
from mep.config import Config
from mep.errors import Interrupted
from mep.evaluation.calibration import first_noticed
from mep.imaging.degradations import DEGRADATIONS, KINDS
from mep.machine.work import Work
from mep.methods.allocations.per_label import PerLabel
from mep.methods.allocations.per_prompt import PerPrompt
from mep.methods.extractors.random_conv import RandomConv
from mep.stages.calibration import CalibrationConfig, calibration

N, N_IMAGES = 32, 150
CONV = RandomConv(kind="random_conv", width=8)


def pictures(n=N_IMAGES, n_heldout=40):
    """Images of 16 pixels; every second one brown and called so."""
    rng = np.random.default_rng(5)
    images = in_memory([draw(rng, number % 2 == 0, 16) for number in range(n)])
    splits = np.where(np.arange(n) < n_heldout, HELDOUT, 0).astype(np.int8)
    return replace(images, labels=np.arange(n) % 2, label_names=["blue", "brown"], splits=splits)


def config(**fields):
    allocation = PerLabel(kind="per_label", images=N // 2)
    return CalibrationConfig(**{"extractors": (CONV,), "resolution": 16, "allocation": allocation} | fields)


def made(folder, images=None, settings=None, **work):
    work = Work(folder, machine=machine(batch_size=16), **work)
    return calibration.function(settings or config(), images or pictures(), work=work)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"))


def test_it_measures_at_the_size_that_the_run_will_compare(whole):
    assert (whole.n, whole.size_px, whole.left_out) == (N, 16, [])
    assert {effect.harm for effect in whole.effects} == set(KINDS)
    assert {effect.metric for effect in whole.effects} >= {"kid", "fd", "precision", "copy_rate", "kid by label"}


def test_copies_are_noticed_by_their_rate_and_strong_noise_weighs_more_than_weak(whole):
    def of(metric, harm):
        return [effect for effect in whole.effects if (effect.metric, effect.harm) == (metric, harm)]

    assert first_noticed(of("copy_rate", "copies"), KINDS["copies"]) is not None
    weak, *_, strong = of("fd", "noise")
    assert (weak.dose, strong.dose) == (3, 25)
    assert strong.effect > 3 * abs(weak.effect)


def test_the_examples_show_one_image_untouched_and_at_every_dose(whole):
    for harm in DEGRADATIONS:
        strip = whole.examples[harm.name]
        assert strip.shape == (1 + len(harm.doses_at(16)), 16, 16, 3)
        assert (strip[0] == whole.examples["blur"][0]).all()
        assert all((picture != strip[0]).any() for picture in strip[1:])


def test_it_is_read_back_as_it_was(whole, tmp_path):
    whole.save(tmp_path)
    again = Calibration.load(tmp_path, Config())
    assert (again.effects, again.n, again.left_out) == (whole.effects, whole.n, whole.left_out)
    assert all((again.examples[harm] == strip).all() for harm, strip in whole.examples.items())


def test_after_a_stop_it_goes_on_with_the_images_that_are_missing_and_ends_alike(whole, tmp_path):
    looks = iter([None])  # before the first shard; asked by the time it is done
    with pytest.raises(Interrupted):
        made(tmp_path, stop_signal=lambda: next(looks, 15))
    images, n_read = pictures(), []
    opened = images.source.open
    images.source.open = lambda name: n_read.append(name) or opened(name)
    resumed = made(tmp_path, images)
    assert resumed.effects == whole.effects
    n_all = 4 * N + sum(len(harm.doses_at(16)) for harm in DEGRADATIONS) * N
    looked_at_for_examples = 64 + 1 + sum(len(harm.doses_at(16)) for harm in DEGRADATIONS)
    assert len(n_read) <= n_all - 512 + looked_at_for_examples


def test_too_few_images_are_a_sentence_and_not_a_failure(tmp_path):
    few = made(tmp_path / "a", pictures(60, 20))
    assert few.effects == []
    assert "20 images are too small, 32 are the least (20 held-out images, 60 images in all)" in few.left_out[0]
    assert few.facts() == {"skipped": few.left_out[0]}
    few.save(tmp_path)
    assert Calibration.load(tmp_path, Config()).left_out == few.left_out


def test_what_cannot_be_measured_is_named(tmp_path):
    images = replace(pictures(100), labels=np.zeros(100, np.int64), label_names=["blue"])
    some = made(tmp_path, images, config(allocation=PerPrompt(kind="per_prompt", images=4)))
    assert some.n == 33
    assert {"copies", "swapped labels"} & {effect.harm for effect in some.effects} == set()
    text = " ".join(some.left_out)
    assert "sets of 40 images: 100 images allow no more than 33" in text
    assert "copies and copy_rate: 100 images leave none to be copied" in text
    assert "swapped labels: fewer than two labels" in text


def test_switched_off_it_reads_no_image(tmp_path):
    off = made(tmp_path, replace(pictures(), source=None), config(calibrate=False))
    assert (off.effects, off.left_out) == ([], ["metrics.calibrate is false"])

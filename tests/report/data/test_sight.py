"""What a calibration says in sentences, and where an instrument is not to be trusted."""

from types import SimpleNamespace

import numpy as np
from drawn_run import Drawn, better_halves

from mep.artifacts import Calibration
from mep.artifacts.calibration import Effect
from mep.imaging.degradations import KINDS
from mep.report import comparison, gather, write_html
from mep.report.data.calibration import blind_spots, findings, sentences
from mep.report.figures.calibration import drawing
from mep.report.tables.trust import distrust

ARMS = ("label-only", "mep")


def calibration(**signals):
    """Two doses a kind of harm; `kid__blur=(1, 7)` are the signals of a metric at both."""
    effects = []
    for name, pair in signals.items():
        metric, harm = name.split("__")
        harm = harm.replace("_", " ")
        better = "lower" if metric in ("kid", "copy_rate") else "higher"
        doses = KINDS[harm].doses_at(48)[:2]
        effects += [
            Effect("conv", metric, better, harm, dose, signal, 1.0, 1.0)
            for dose, signal in zip(doses, pair, strict=True)
        ]
    strip = np.zeros((3, 8, 8, 3), np.uint8)
    return Calibration(effects, 256, 48, ["copies: no image is left"], {"blur": strip})


SEEN = calibration(
    kid__blur=(0.7, 11.2), kid__noise=(3, 30), kid__copies=(0, 0.5), copy_rate__copies=(2, 9), precision__blur=(0.5, 4)
)


def test_it_says_what_the_headline_notices_to_what_it_is_blind_and_who_sees_that():
    # of the blur: signals 0.7 and 11.2 at 0.4 and 0.8 px, so 2.8 half way between their logarithms: 0.57 px
    assert sentences(SEEN) == [
        "conv at n = 256: kid notices blur from 0.57 px and noise at every dose tried; it is blind to copies "
        "(copy_rate is not).",
        "conv is misled: precision gets better with blur.",
    ]


def test_the_cell_of_a_table_holds_the_dose_and_marks_what_is_misled():
    cells = {(one.metric, one.harm): one.cell for one in findings(SEEN)}
    assert cells["kid", "blur"] == "0.57"
    assert cells["kid", "noise"] == "≤3"
    assert cells["kid", "copies"] == "-"
    assert cells["precision", "blur"].endswith("!")


def test_nothing_measured_says_why():
    assert sentences(Calibration([], 12, 48, ["sets are too small"])) == ["Not calibrated: sets are too small."]


def test_the_picture_has_a_panel_for_each_kind_and_its_numbers_on_every_point():
    picture = drawing(SEEN)
    assert picture.count('class="chart"') == 3
    assert picture.count("<image") == 3
    assert "kid at 0.8: effect 11.2, 11.2 times the noise, power 1.00" in picture
    assert "called better" in picture


def test_page_and_notes_of_a_run_say_what_its_instrument_sees(tmp_path):
    drawn = Drawn(tmp_path)
    drawn.shared_stages()
    drawn.publish(SEEN, ARMS)
    for arm in ARMS:
        drawn.own_stages(arm, halves=better_halves())
    drawn.end()
    run_ids = [run["run_id"] for run in drawn.store.db.query("SELECT run_id FROM runs")]
    assert blind_spots(drawn.store, run_ids) == sentences(SEEN)
    compared = comparison(drawn.store, run_ids)
    assert set(sentences(SEEN)) <= set(compared.notes)
    write_html(gather(drawn.store, run_ids), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert 'id="instrument"' in page
    assert "blur from 0.57 px" in page


def numbers(value, se=1.0):
    return SimpleNamespace(value=value, se=se)


def metric(**fields):
    usual = {"metric": "kid", "group": "all", "reference": "heldout", "extractor": "conv"}
    return SimpleNamespace(**usual | fields)


def warned(samples, floor=60.0, train=50.0):
    references = {"real training images": numbers(train), "autoencoder floor": numbers(floor)}
    one = metric(arms={"mep": numbers(samples)}, references=references)
    return distrust(SimpleNamespace(metrics=[one]))


def test_samples_nearer_than_real_training_images_are_a_reason_for_distrust():
    assert warned(46.0) == ["conv ranks the samples of mep above real training images: it cannot be trusted here."]
    assert warned(48.0) == []  # 2 below, with an error of √2: not clear
    assert warned(400.0) == []


def test_reconstructions_nearer_than_training_images_are_explained_and_not_condemned():
    (sentence,) = warned(400.0, floor=5.0)
    assert "the autoencoder loses nothing that conv can see" in sentence


def test_scores_without_training_images_allow_no_warning():
    assert distrust(SimpleNamespace(metrics=[metric(arms={"mep": numbers(1.0)}, references={})])) == []

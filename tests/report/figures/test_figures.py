"""Pictures, curves and figures for papers."""

import csv
from dataclasses import replace
from functools import partial

import numpy as np
from drawn_run import Drawn, finished
from shown_report import comparison

from mep.report import write_figures
from mep.report.figures import clusters, gallery, paper, strips
from mep.report.figures.charts import Curve, CurveSet, running_mean, smoothed, thinned
from mep.report.figures.clusters import rules_of
from mep.report.figures.opening import opening
from mep.report.figures.pictures import Pictures, Shot, affordable, pixels_of, spread
from mep.report.figures.styles import REFERENCE, reference_style


def test_figures_come_as_svg_pdf_png_and_csv_with_captions_and_twice_the_same(report, tmp_path):
    found = comparison(report)
    for folder in ("once", "twice"):
        write_figures(report, tmp_path / folder, found)
    names = {path.name for path in (tmp_path / "once").iterdir()}
    for figure in ("metrics", "differences", "loss", "samples", "map"):
        assert {f"{figure}.{kind}" for kind in ("svg", "pdf", "png", "csv")} <= names
        assert f"**{figure}.**" in (tmp_path / "once" / "captions.md").read_text()
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes(), name
    rows = {(row["metric"], row["arm"]): row for row in csv.DictReader((tmp_path / "once" / "metrics.csv").open())}
    assert float(rows["random_conv/fd", "mep"]["value"]) == 31.2


def test_the_caption_of_metrics_names_the_line_that_every_panel_draws_for_a_reference(report):
    found = comparison(report)
    whole, lacking = found.metrics[:2]
    training = {"real training images": lacking.references["real training images"]}
    found = replace(found, metrics=[whole, replace(lacking, references=training)])
    assert found.references.index("real training images") == list(whole.references).index("real training images")
    found = replace(found, references=[*reversed(found.references)])
    figure = paper._metrics(found)
    drawn = [
        [line._unscaled_dash_pattern[1] for line in axis.lines if line.get_color() == REFERENCE]
        for axis in figure.drawing.axes[:2]
    ]
    expected = reference_style(found.references.index("real training images"))
    assert drawn[1] == [tuple(length / 2 for length in expected.dash)]
    assert drawn[1][0] in drawn[0]
    assert f"{expected.word} real training images" in figure.caption
    assert all(title in figure.caption for title in found.references)


def test_a_hostile_name_survives_in_figures_for_print(tmp_path):
    drawn = Drawn(tmp_path, labels=["$x_{1}$ <b>", "\u202eevil"])
    report = finished(drawn)
    write_figures(report, tmp_path / "figures", comparison(report))
    svg = (tmp_path / "figures" / "samples.svg").read_text()
    assert "$x_{1}$ &lt;b&gt;" in svg
    assert "\u202e" not in svg


def test_a_running_mean_is_drawn_at_the_last_step_that_it_covers():
    assert running_mean(np.array([1.0, 2.0, 6.0, 0.0]), 2).tolist() == [1.5, 4.0, 3.0]
    curve = smoothed("a", np.arange(50.0), np.arange(50.0), 0)  # a window of 50 // 25 = 2
    assert (curve.steps[0], curve.values[0], len(curve.steps)) == (1, 0.5, 49)


def test_a_long_curve_keeps_both_ends_and_its_shape():
    steps = np.arange(20_000.0)
    curve = thinned(smoothed("a", steps, 2 * steps, 0))  # windows of 200 steps
    assert len(curve.steps) == len(curve.values) == 300
    assert (curve.steps[0], curve.steps[-1]) == (199, 19_999)
    assert np.allclose(curve.values, 2 * curve.steps - 199)  # the mean of 2s - 398, ..., 2s


def test_a_chart_carries_its_axes_and_at_most_so_many_points_of_six_digits():
    steps = np.arange(5000.0)
    curves = [
        Curve("a<b", steps, 1 / (1 + steps), 1),
        Curve("c", steps[:2], np.array([0.5, 1 / 3]), 0, np.array([0.1, 0.2])),
    ]
    data = CurveSet("UNet", "loss", curves, id="loss").as_data()
    assert (data["x"], data["y"], data["log"]) == ("steps", "loss", True)
    assert len(data["curves"][0]["x"]) == 300
    assert data["curves"][1]["y"] == [0.5, 0.333333]
    assert data["curves"][1]["se"] == [0.1, 0.2]


def test_the_opening_puts_reconstructions_and_samples_under_real_images_of_their_label(report):
    found = opening(report, strips.sample_sets(report))
    assert found.columns == ["benign", "tumour", "benign", "tumour"]
    assert [what for what, *_ in found.rows] == ["real, held out", "generated", "generated"]
    for column, label in enumerate(found.columns):
        assert all(label in row[column].alt for _, _, row in found.rows)


def test_a_cluster_card_shows_the_images_nearest_its_centre_first(report):
    card = clusters.cluster_tiles(report, strips.sample_sets(report))[0].cards[0]
    assert [picture.alt.split()[2] for picture in card.nearest] == ["01.png,", "03.png,", "00.png,", "02.png,"]
    assert card.mix == [("benign", 0.5), ("tumour", 0.5)]


def test_samples_of_all_arms_stand_under_training_images_of_their_own_prompt(report):
    block = gallery.prompt_blocks(report, strips.sample_sets(report))[0][1]
    assert (block.id, block.title) == ("p1", "Image of tumour")
    assert [(strip.arms, strip.n) for strip in block.strips] == [([], 3), (["label-only"], 2), (["mep"], 2)]
    assert [picture.alt.split()[2] for picture in block.strips[0].pictures] == ["01.png,", "03.png,", "05.png,"]
    assert block.same_noise


def test_a_label_shows_held_out_images_above_those_of_every_arm(report):
    blocks = gallery.label_blocks(report, strips.sample_sets(report))[0]
    assert [block.title for block in blocks] == ["benign", "tumour"]
    told = [(strip.what, strip.arms) for strip in blocks[0].strips]
    real = [("real, held out", []), ("real, training", [])]
    assert told == [*real, ("generated", ["label-only"]), ("generated", ["mep"])]


def test_pictures_are_lossless_keep_their_size_and_are_shown_large_enough():
    rng, made = np.random.default_rng(0), Pictures(1e7)
    images = [rng.integers(0, 256, (side, side + 8, 3)).astype(np.uint8) for side in (20, 40, 96, 512)]
    small, tile, middle, large = [made.of(Shot(lambda pixels=pixels: pixels), "") for pixels in images]
    assert np.array_equal(pixels_of(tile), images[1][:, 4:44])
    assert [(one.side_px, one.shown_px) for one in (small, tile, middle, large)] == [
        *[(20, 80), (40, 80), (96, 96)],
        (256, 128),
    ]


def test_a_full_page_shows_fewer_pictures_before_it_shows_smaller_ones():
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)  # about 9 kB each
    fit = partial(affordable, [Shot(lambda: noise)], lambda count: 10 * count, (16, 8, 4))
    assert fit(2_000_000) == (16, 256)
    assert fit(900_000) == (8, 256)
    assert fit(200_000) == (4, 64)  # no smaller: prompts are left out then


def test_rules_are_counted_without_what_was_measured():
    assert rules_of("std_v 3.2 < 4, var_l 1e-05 < 100") == ["std_v < 4", "var_l < 100"]
    assert rules_of("too far from its neighbours") == ["too far from its neighbours"]


def test_positions_are_spread_from_the_first_to_the_last():
    assert spread(3, 8) == [0, 1, 2]
    assert spread(101, 5) == [0, 25, 50, 75, 100]


def test_pictures_of_repeats_and_of_controls_do_not_crowd_the_first_screen(report):
    sets = strips.sample_sets(report)
    shown = opening(report, [*sets, replace(sets[1], arms=["control-negative"])])
    assert [arms for what, arms, _ in shown.rows if what == "generated"] == [["label-only"], ["mep"]]
    assert strips.has_first_training(["mep#2", "mep"])
    assert not strips.has_first_training(["mep#2", "label-only#2"])

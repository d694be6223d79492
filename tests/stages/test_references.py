"""The pictures that are kept beside the features of real images."""

from drawn_run import Drawn, finished
from PIL import Image

from mep.artifacts import Images, References
from mep.report.figures.opening import opening
from mep.report.figures.strips import sample_sets
from mep.stages.references import _keep_reconstructions


def test_reconstructions_of_every_label_are_kept_and_open_the_page(tmp_path):
    report = finished(Drawn(tmp_path))
    arm = report.arms[0]
    folder = report.store.folder(arm.id_of(References)) / "reconstructions"
    _keep_reconstructions(arm.get(Images).held_out, 40, lambda pixels: 255 - pixels, folder)
    ids = (folder / "ids.txt").read_text().split()
    assert sorted(ids) == ["08.png", "09.png", "10.png", "11.png"]
    with Image.open(folder / "00.png") as negative, Image.open(tmp_path / "images" / ids[0]) as image:
        assert negative.getpixel((3, 3)) == tuple(255 - value for value in image.getpixel((3, 3)))
    rows = opening(report, sample_sets(report)).rows
    assert [what for what, *_ in rows][:2] == ["real, held out", "the same after the autoencoder"]
    assert rows[1][2][0].alt.split(",")[0] == f"{rows[0][2][0].alt.split(',')[0]} after the autoencoder"

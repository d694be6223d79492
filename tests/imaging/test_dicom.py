import contextlib

import numpy as np
import pytest
from dicom_files import dicom_files, write_dicom
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from mep.errors import DataError
from mep.imaging.dicom.frames import _native, open_dicom
from mep.imaging.dicom.header import read_header
from mep.imaging.pixels import to_rgb

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def opened(path, pixels, **settings):
    how = {name: settings.pop(name) for name in ("frame", "as_shown") if name in settings}
    return np.asarray(open_dicom(write_dicom(path, pixels, **settings), **how))


WINDOWED = sorted(
    path.name
    for path in dicom_files().glob("*.dcm")
    if path.name.startswith(("MR_small", "693_J2KI", "J2K_pixelrep", "examples_overlay"))
)


@pytest.mark.parametrize("name", WINDOWED)
def test_grey_is_what_the_library_makes_of_rescale_and_window(name):
    data = dcmread(dicom_files() / name)
    # the library maps the window to the range of its rescaled values: that of BitsStored
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    bits, slope, intercept = data.BitsStored, data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if data.PixelRepresentation else [0, 2**bits - 1])
    low, high = ends * float(slope) + float(intercept)
    wanted = (shown - low) / (high - low) * 255
    ours = np.asarray(open_dicom(dicom_files() / name))
    assert ours.dtype == np.uint8
    assert np.abs(ours - wanted).max() <= 0.5 + 1e-6  # rounding to 8 bits


def native(path, frame=0):
    _, pixels = read_header(path)
    with path.open("rb") as file:
        return pixels and _native(file, pixels, frame)


def test_pixels_that_are_not_compressed_are_those_of_the_library_and_others_are_left_to_it(tmp_path):
    n_native = 0
    for path in sorted(dicom_files().glob("*.dcm")):
        data = dcmread(path, force=True)
        if "PixelData" in data and data.preamble and not data.get("NumberOfFrames"):
            ours = native(path)
            n_native += ours is not None
            assert ours is None or np.array_equal(ours, data.pixel_array), path.name
    assert n_native >= 5
    data = dcmread(write_dicom(tmp_path / "signed.dcm", RAMP))
    data.PixelRepresentation, data.BitsStored, data.HighBit = 1, 12, 11  # 4095 is -1: what is unused says nothing
    data.save_as(tmp_path / "signed.dcm")
    assert np.array_equal(native(tmp_path / "signed.dcm"), data.pixel_array)
    assert native(tmp_path / "signed.dcm").min() == -2048
    data.PixelData = data.PixelData[:-2]
    data.save_as(tmp_path / "signed.dcm")
    assert native(tmp_path / "signed.dcm") is None


COLOUR = sorted(path.name for path in dicom_files().glob("*.dcm") if path.name.startswith(("SC_rgb", "SC_ybr")))


@pytest.mark.parametrize("name", COLOUR)
def test_colour_of_every_photometric_interpretation_is_rgb_of_8_bits(name):
    data = dcmread(dicom_files() / name)
    wanted = data.pixel_array[0] if int(data.get("NumberOfFrames") or 1) > 1 else data.pixel_array
    assert np.array_equal(np.asarray(open_dicom(dicom_files() / name)), wanted >> (data.BitsStored - 8))


def test_palettes_become_rgb():
    from pydicom.pixels import apply_color_lut

    data = dcmread(dicom_files() / "examples_palette.dcm")
    wanted = apply_color_lut(data.pixel_array, data)
    ours = np.asarray(open_dicom(dicom_files() / "examples_palette.dcm"))
    assert np.array_equal(ours, wanted >> 8 if wanted.dtype == np.uint16 else wanted)


@pytest.mark.parametrize(("highest", "wanted"), [(65535, 255), (255, 255)])
def test_a_palette_of_16_bits_keeps_its_upper_8_unless_it_has_only_lower_ones(tmp_path, highest, wanted):
    entries = np.linspace(0, highest, 256).astype(np.uint16).tobytes()
    palette = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    palette |= {f"{name}PaletteColorLookupTableData": entries for name in ("Red", "Green", "Blue")}
    stored = np.array([[0, 64], [128, 255]], dtype=np.uint8)
    ours = opened(tmp_path / "a.dcm", stored, PhotometricInterpretation="PALETTE COLOR", **palette)
    assert ours.shape == (2, 2, 3)
    assert ours[1, 1].tolist() == [wanted] * 3
    assert np.abs(ours[..., 0].astype(int) - stored).max() <= 1


@pytest.mark.parametrize(
    ("tags", "shape"),
    [
        ({"PixelSpacing": [0.5, 0.25]}, (128, 64)),  # rows first
        ({"ImagerPixelSpacing": [0.2, 0.3]}, (64, 96)),
        ({"PixelAspectRatio": [2, 1]}, (128, 64)),
        ({"PixelSpacing": [0.5, 0.5], "PixelAspectRatio": [2, 1]}, (64, 64)),
        ({"PixelSpacing": ["0", "1"]}, (64, 64)),
        ({}, (64, 64)),
    ],
)
def test_pixels_are_made_square_where_that_is_asked_for(tmp_path, tags, shape):
    path = write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12, **tags)
    assert open_dicom(path, square=True).size == shape[::-1]
    assert open_dicom(path).size == (64, 64)
    assert np.asarray(open_dicom(path, square=True)).max() == 4095  # deep grey stays deep


def test_frames_may_have_pixels_of_their_own_height(tmp_path):
    measures, group = Dataset(), Dataset()
    measures.PixelSpacing = [1, 2]
    group.PixelMeasuresSequence = Sequence([measures])
    path = write_dicom(tmp_path / "a.dcm", np.stack([RAMP, RAMP]), SharedFunctionalGroupsSequence=[group])
    assert open_dicom(path, 1, square=True).size == (128, 64)


def test_one_frame_of_many_is_read():
    frames = dcmread(dicom_files() / "examples_ybr_color.dcm").pixel_array
    assert np.array_equal(np.asarray(open_dicom(dicom_files() / "examples_ybr_color.dcm", frame=17)), frames[17])
    with pytest.raises(DataError, match="30 frames, no number 31"):
        open_dicom(dicom_files() / "examples_ybr_color.dcm", frame=30)


@pytest.mark.parametrize(
    ("function", "value", "grey"),
    [  # centre 2048, width 512, by the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3
        ("LINEAR", 1792, 0),  # 2047.5 - 255.5 and below is black
        ("LINEAR", 2303, 255),  # above 2047.5 + 255.5 is white
        ("LINEAR", 2048, 128),  # 0.5 / 511 + 0.5 of 255 is 127.75
        ("LINEAR_EXACT", 2048, 128),  # 127.5, to even
        ("LINEAR_EXACT", 1920, 64),  # a quarter: 63.75
        ("SIGMOID", 2304, 225),  # 255 / (1 + exp(-2)) is 224.6
    ],
)
def test_windows_follow_the_formulas_of_the_standard(tmp_path, function, value, grey):
    window = {"WindowCenter": 2048, "WindowWidth": 512, "VOILUTFunction": function}
    assert opened(tmp_path / "a.dcm", RAMP, BitsStored=12, **window).ravel()[value] == grey


def test_the_first_of_several_windows_is_taken(tmp_path):
    one = opened(tmp_path / "a.dcm", RAMP, BitsStored=12, WindowCenter=100, WindowWidth=50)
    many = opened(tmp_path / "b.dcm", RAMP, BitsStored=12, WindowCenter=[100, 900], WindowWidth=[50, 300])
    assert np.array_equal(one, many)


@pytest.mark.parametrize("window", [("", ""), (0, 0), (100, -5)])
def test_a_window_that_is_left_empty_or_has_no_width_is_none(tmp_path, window):
    path = write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12, WindowCenter=window[0], WindowWidth=window[1])
    assert open_dicom(path).mode == "I;16"
    assert np.array_equal(np.asarray(open_dicom(path)), RAMP)


def test_a_window_narrower_than_1_is_meant_as_it_is(tmp_path):
    scale = {"RescaleSlope": 1 / 4096, "RescaleIntercept": 0, "WindowCenter": 0.5, "WindowWidth": 0.5}
    shown = opened(tmp_path / "a.dcm", RAMP, BitsStored=12, **scale)
    assert shown.ravel()[[1024, 2048, 3072]].tolist() == [0, 128, 255]  # of 1/4, 1/2 and 3/4


def test_a_negative_is_inverted_shown_and_measured(tmp_path):
    kinds = [{"as_shown": True, "WindowCenter": 2048, "WindowWidth": 4096}, {"as_shown": True}, {"as_shown": False}]
    for kind in kinds:
        positive = opened(tmp_path / "a.dcm", RAMP, BitsStored=12, **kind)
        negative = opened(
            tmp_path / "b.dcm", 4095 - RAMP, BitsStored=12, PhotometricInterpretation="MONOCHROME1", **kind
        )
        assert np.array_equal(positive, negative)


def table(entries, bits, first=0, n_entries=None):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [n_entries or len(entries), first, bits])
    item.add_new("LUTData", "OW" if isinstance(entries, bytes) else "US", entries)
    return Sequence([item])


def test_a_table_of_the_header_stands_before_its_window(tmp_path):
    doubled = table([min(2 * value, 65535) for value in range(4096)], 16)
    shown = opened(tmp_path / "a.dcm", RAMP, BitsStored=12, VOILUTSequence=doubled, WindowCenter=1, WindowWidth=1)
    assert np.array_equal(shown, np.round(2 * RAMP / 65535 * 255))


@pytest.mark.parametrize("first", [0, -2048])
@pytest.mark.parametrize("kind", [list, bytes, lambda entries: np.array([*entries], "<u2").tobytes()])
def test_a_table_may_have_entries_of_8_bits_for_values_of_12(tmp_path, first, kind):
    pixels = RAMP if first == 0 else RAMP.astype(np.int16) + first
    entries = table(kind(value // 16 for value in range(4096)), 8, first, 4096)
    shown = opened(tmp_path / "a.dcm", pixels, BitsStored=12, VOILUTSequence=entries)
    assert np.array_equal(shown, RAMP // 16)
    measured = opened(tmp_path / "b.dcm", pixels, BitsStored=12, ModalityLUTSequence=entries, as_shown=False)
    assert np.array_equal(measured, RAMP // 16)


def test_values_beyond_a_table_have_its_ends(tmp_path):
    entries = table([100, 200, 4095], 12, first=1000)
    shown = opened(tmp_path / "a.dcm", RAMP, BitsStored=12, ModalityLUTSequence=entries, as_shown=False)
    assert shown.ravel()[[0, 1000, 1001, 1002, 4095]].tolist() == [100, 100, 200, 4095, 4095]


def test_grey_of_8_bits_is_as_it_is_and_deeper_grey_without_a_window_stays_deep(tmp_path):
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(opened(tmp_path / "a.dcm", eight), eight)
    assert np.array_equal(opened(tmp_path / "b.dcm", eight, WindowCenter=128, WindowWidth=256), eight)
    deep = open_dicom(write_dicom(tmp_path / "c.dcm", RAMP, BitsStored=12))
    assert deep.mode == "I;16"
    assert np.array_equal(np.asarray(deep), RAMP)


def test_measured_grey_is_in_hounsfield_units():
    image = open_dicom(dicom_files() / "693_J2KI.dcm", as_shown=False)
    data = dcmread(dicom_files() / "693_J2KI.dcm")
    assert image.mode == "I"
    assert np.array_equal(np.asarray(image), data.pixel_array.astype(int) - 1024)
    assert to_rgb(image, (-160, 240)).shape == (512, 512, 3)


def test_a_fractional_slope_gives_fractions(tmp_path):
    values = opened(tmp_path / "a.dcm", RAMP, as_shown=False, RescaleSlope=0.25, RescaleIntercept=1)
    assert values.dtype == np.float32
    assert values.ravel()[:3].tolist() == [1, 1.25, 1.5]


def test_frames_may_have_windows_of_their_own(tmp_path):
    def group(name, **values):
        inner, outer = Dataset(), Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        setattr(outer, name, Sequence([inner]))
        return outer

    frames = [group("FrameVOILUTSequence", WindowCenter=1 + 1000 * n, WindowWidth=1) for n in range(2)]
    shared = group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-10)
    pixels = np.stack([RAMP, RAMP])
    tags = {"PerFrameFunctionalGroupsSequence": frames, "SharedFunctionalGroupsSequence": [shared]}
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, **tags)
    whites = [int((np.asarray(open_dicom(path, frame)) == 255).sum()) for frame in range(2)]
    assert whites == [4096 - 11, 4096 - 1011]  # value - 10 of at least 1, and of at least 1001


def test_what_cannot_be_shown_is_told(tmp_path, monkeypatch):
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("no dicom" * 40)
    (tmp_path / "secret.dcm").write_bytes(bytes.fromhex("3080060b") + bytes.fromhex("2a864886f70d010703") + b"\0" * 200)
    huge = write_dicom(tmp_path / "huge.dcm", RAMP)
    data = dcmread(huge)
    data.Rows = data.Columns = 65535
    data.save_as(huge)
    data = dcmread(write_dicom(tmp_path / "locked.dcm", RAMP))
    del data.PixelData
    data.save_as(tmp_path / "without.dcm")
    data.EncryptedAttributesSequence = []
    data.save_as(tmp_path / "locked.dcm")
    flat = write_dicom(tmp_path / "flat.dcm", RAMP, RescaleSlope=0, RescaleIntercept=7, BitsStored=12)
    for path, message in [
        (flat, "its RescaleSlope is 0"),
        (tmp_path / "empty.dcm", "the file is empty"),
        (tmp_path / "text.dcm", "no DICOM"),
        (tmp_path / "secret.dcm", "encrypted"),
        (huge, "claims 65535 x 65535"),
        (tmp_path / "locked.dcm", "its pixels are encrypted"),
        (tmp_path / "without.dcm", "no pixels"),
        (dicom_files() / "MR_truncated.dcm", "cut off"),
        (dicom_files() / "reportsi.dcm", r"no pixels \(SR\)"),
        (dicom_files() / "JPEG2000-embedded-sequence-delimiter.dcm", "JPEG 2000 Image Compression, and does not"),
    ]:
        with pytest.raises(DataError, match=message):
            open_dicom(path)


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("SC_rgb_jpeg_gdcm.dcm", "gdcm", "python-gdcm"),  # JPEG Lossless
        ("MR_small_jp2klossless.dcm", "openjpeg", "pylibjpeg-openjpeg"),
    ],
)
def test_a_decoder_that_is_not_installed_is_named(name, module, package, monkeypatch):
    from importlib.util import find_spec

    from pydicom.pixels.decoders import base

    def refuse(*_, **__):
        raise RuntimeError("all plugins are missing dependencies")

    monkeypatch.setattr(base.Decoder, "as_array", refuse)
    monkeypatch.setattr("mep.imaging.dicom.frames.find_spec", lambda one: None if one == module else find_spec(one))
    with pytest.raises(DataError, match=rf"which needs: pip install {package}$"):
        open_dicom(dicom_files() / name)


def test_a_file_that_is_known_is_opened_to_the_same_pixels_without_reading_its_header_again(tmp_path, monkeypatch):
    def content(path, frame, known=None):
        try:
            image = open_dicom(path, frame, known=known)
        except Exception as error:  # a broken file is refused in the same words
            return str(error)
        return image.mode, image.size, image.tobytes()

    frames = [(path, 0) for path in sorted(dicom_files().glob("*.dcm"))]
    frames += [(dicom_files() / "examples_ybr_color.dcm", 17), (dicom_files() / "SC_rgb_small_odd_big_endian.dcm", 0)]
    known, wanted = {}, [content(*one) for one in frames]
    for path, _ in frames:
        with contextlib.suppress(Exception):  # a broken file is not known
            known[path] = read_header(path)[1]
    assert [content(*one, known.get(one[0])) for one in frames] == wanted

    monkeypatch.setattr("mep.imaging.dicom.frames.read_header", None)
    path = dicom_files() / "693_J2KI.dcm"
    assert content(path, 0, known[path]) == wanted[frames.index((path, 0))]


def test_a_file_that_changed_since_it_was_known_is_read_anew(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12)
    known = read_header(path)[1]
    write_dicom(path, RAMP[:32] + 1, BitsStored=12, PatientComments="so that pixels lie elsewhere")
    assert np.array_equal(np.asarray(open_dicom(path, known=known)), RAMP[:32] + 1)


def test_the_header_of_a_file_of_many_frames_is_read_once(tmp_path, monkeypatch):
    tags = {"SharedFunctionalGroupsSequence": [Dataset()]}
    path = write_dicom(tmp_path / "a.dcm", np.stack([RAMP + n for n in range(9)]), **tags)
    reads = []
    monkeypatch.setattr("mep.imaging.dicom.frames.read_header", lambda path: reads.append(path) or read_header(path))
    shown = [np.asarray(open_dicom(path, frame)) for frame in range(9)]
    assert all(np.array_equal(one, RAMP + n) for n, one in enumerate(shown))
    assert len(reads) == 1

"""What a text says of real images, slides and patients where it leaves."""

import pytest

from mep.store.nameless import without_groups, without_names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no box: 12.png, 03.png", "no box: (an image), 03.png"),
        ("ann/x/12.png is dark", "(an image) is dark"),
        ("images/0000012.png", "images/0000012.png"),  # a synthetic one
        ("dark: scan 1", "dark: (an image)"),
    ],
)
def test_a_text_loses_the_names_of_real_images(text, wanted):
    assert without_names(["ann/x/12.png", "scan 1"])(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("patient Doe, Jane has 1 image", "patient (a group) has 1 image"),
        ("Doe, Jane/3.png is dark", "(a group)/3.png is dark"),
        ("train Does of 4711", "train Does of 4711"),
        ("patient 4711 lies in 2 splits, not 4711", "patient (a group) lies in 2 splits, not 4711"),
        ("made in 4.7 s for 20031224", "made in 4.7 s for (a group)"),
    ],
)
def test_a_text_loses_the_names_of_patients_but_not_what_may_be_a_count(text, wanted):
    assert without_groups({"patient": ["Doe", "Doe, Jane", "4711", "4", "20031224"]})(text) == wanted

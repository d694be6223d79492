"""Captions that were written elsewhere: which become one prompt, what label it has, what is too long."""

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_base import base_that_reads

from mep.artifacts import Images, Members, TrainingSet
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.captioners.given import Given
from mep.sections.prompts import PromptsConfig
from mep.stages.prompts.stage import prompts

TEXTS = ["No finding.", "no finding.", "Small effusion on the left", "Two nodules", "Small effusion on the left"]
LABELS = [0, 0, 1, 1, 0]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_that_reads(tmp_path_factory.mktemp("base"), 24)


@pytest.fixture
def caption(base, tmp_path):
    def made(texts=TEXTS, aside=1, **fields):
        n = len(texts)
        ids = [f"i{row}" for row in range(n)]
        labels = np.array(LABELS[:n])
        images = Images(
            ids, labels, ["healthy", "ill"], np.zeros(n, np.int8), [""] * n, np.ones((n, 2), int), {"text": texts}, None
        )
        names = [images.label_of(row) for row in range(n)]
        m = n - aside
        rest = Members(ids[m:], names[m:], np.zeros(aside, np.int64))
        chosen = TrainingSet(ids[:m], names[:m], np.zeros(m, np.int64), np.ones(m), [], rest)
        config = PromptsConfig(template="{label}", method=Given(kind="given", **fields))
        return prompts.function(config, images, chosen, base, work=Work(folder=tmp_path))

    return made


def test_images_of_one_caption_share_a_prompt_and_its_label_where_they_agree(caption):
    found = caption()
    assert [(p.text, p.label, p.cluster, p.n_images) for p in found.prompts] == [
        ("No finding.", "healthy", None, 2),  # case is nothing to the tokenizer
        ("Small effusion on the left", "ill", None, 1),  # a validation image has no say
        ("Two nodules", "ill", None, 1),
    ]
    assert found.of_image == {"i0": 0, "i1": 0, "i2": 1, "i3": 2, "i4": 1}
    assert caption(aside=0).prompts[0].label is None  # the effusion is healthy once, and ill once
    assert len({p.id for p in found.prompts}) == 3


def test_captions_that_are_too_long_are_counted_or_end_with_the_last_word_that_fits(caption):
    texts = ["a b c", "Effusions, " + "zygomatic " * 9, " ".join("abcdefghijklmnopqrstuvwxyz")]
    with pytest.raises(DataError, match=r"2 of 3 captions have more than the 24 tokens .* the longest has") as caught:
        caption(texts, aside=0)
    assert "too_long: cut" in caught.value.hint
    cut = {prompt.text for prompt in caption(texts, aside=0, too_long="cut").prompts}
    assert "a b c" in cut
    assert " ".join("abcdefghijklmnopqrstuv") in cut  # 22 letters, and the marks of begin and end
    assert all(any(text.startswith(short) for text in texts) for short in cut)


def test_an_image_without_a_caption_is_told(caption):
    with pytest.raises(DataError, match=r"2 of 4 images have no caption: i1, i3") as caught:
        caption(["a", "", "b", None])
    assert caught.value.field == "prompts.method"
    with pytest.raises(DataError, match="no column 'report'"):
        caption(column="report")


def test_given_captions_have_no_clusters_to_shuffle():
    with pytest.raises(ValidationError, match="these captions are given"):
        PromptsConfig(template="{cluster}", permute="cluster", method=Given(kind="given"))


def test_a_template_has_the_fingerprint_that_it_had_before_there_were_given_captions():
    assert "method" not in PromptsConfig(template="{label}").dump()
    assert PromptsConfig(template="{label}", method=Given(kind="given")).dump()["method"]["column"] == "text"

import numpy as np
import pytest
from pydantic import ValidationError

from mep.artifacts import Images, TrainingSet
from mep.errors import DataError
from mep.stage import Work
from mep.stages.prompts import PromptsConfig, fill, prompts


def build(template, labels, clusters, label_names, tmp_path):
    ids = [f"i{row}" for row in range(len(labels))]
    n = len(ids)
    images = Images(
        ids, np.zeros(n, int), label_names, np.zeros(n, np.int8), [""] * n, np.zeros((n, 2), int), {}, source=None
    )
    chosen = TrainingSet(ids, labels, np.array(clusters), np.ones(n), [])
    return prompts.function(PromptsConfig(template=template), images, chosen, work=Work(folder=tmp_path))


def test_the_papers_caption_has_the_label_and_the_cluster_in_words():
    template = "Histology image of {label} tissue, morphology type {cluster:words}"
    assert fill(template, "healthy", 7) == "Histology image of healthy tissue, morphology type seven"
    assert fill(template, "cancer", 32) == "Histology image of cancer tissue, morphology type thirty-two"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{label:lower} {cluster}", "dcis grade 2 27"),
        ("{label:title}", "Dcis grade 2"),
        ("{cluster:letter}", "ab"),
        ("{{literal}} {cluster}", "{literal} 27"),
        ("no slot", "no slot"),
    ],
)
def test_every_format_says_what_it_promises(template, text):
    assert fill(template, "DCIS grade 2", 27) == text


def test_arms_that_name_other_slots_caption_the_same_images(tmp_path):
    labels, clusters = ["a", "a", "b", "b"], [0, 1, 0, 1]
    both = build("{label} type {cluster}", labels, clusters, ["a", "b"], tmp_path)
    label_only = build("{label}", labels, clusters, ["a", "b"], tmp_path)
    assert [prompt.text for prompt in both.prompts] == ["a type 0", "a type 1", "b type 0", "b type 1"]
    assert [(prompt.text, prompt.n_images) for prompt in label_only.prompts] == [("a", 2), ("b", 2)]
    assert label_only.of_image.keys() == both.of_image.keys()


def test_a_prompts_name_does_not_change_when_another_prompt_vanishes_or_the_text_does(tmp_path):
    # defects 14 and 16: the original ranked the texts and parsed the label back out of them
    full = build("{label} {cluster}", ["a", "a", "b"], [0, 1, 1], ["a", "b"], tmp_path)
    less = build("picture of {label}, {cluster:words}", ["a", "b"], [1, 1], ["a", "b"], tmp_path)
    assert [prompt.id for prompt in full.prompts] == ["a_c00", "a_c01", "b_c01"]
    assert [prompt.id for prompt in less.prompts] == ["a_c01", "b_c01"]


def test_pairs_that_no_training_image_shows_have_prompts_of_their_own(tmp_path):
    made = build("{label} {cluster}", ["a", "a", "b"], [0, 1, 1], ["a", "b"], tmp_path)
    assert [(prompt.id, prompt.text, prompt.n_images) for prompt in made.unseen] == [("b_c00", "b 0", 0)]
    assert build("{label}", ["a", "a", "b"], [0, 1, 1], ["a", "b"], tmp_path).unseen == []


def test_labels_that_look_alike_in_a_file_name_get_different_names(tmp_path):
    names = ["grade 2", "grade-2", "плоско"]
    made = build("{label}", names, [0, 0, 0], names, tmp_path)
    assert len({prompt.id for prompt in made.prompts}) == 3
    assert all(set(prompt.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for prompt in made.prompts)


def test_one_word_without_labels_is_fine_and_a_label_slot_is_not(tmp_path):
    assert build("type {cluster}", [None, None], [0, 1], [], tmp_path).prompts[1].id == "c01"
    with pytest.raises(DataError, match=r"names \{label\}"):
        build("{label}", [None], [0], [], tmp_path)


@pytest.mark.parametrize("template", ["{lable}", "{cluster:roman}", "{label", "{}", "{label.__class__}", "{0}"])
def test_a_template_that_cannot_be_filled_is_refused(template):
    with pytest.raises(ValidationError):
        PromptsConfig(template=template)

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_base import base_that_reads

from mep.artifacts import Images, Members, TrainingSet
from mep.errors import DataError
from mep.machine.work import Work
from mep.sections.prompts import PromptsConfig
from mep.stages import stages
from mep.stages.prompts.stage import prompts
from mep.stages.prompts.template import Record, Writer
from mep.stages.training.batches import numbers_of


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_that_reads(tmp_path_factory.mktemp("base"), 24)


@pytest.fixture
def build(base, tmp_path):
    def prompts_of(template, labels, clusters, names, metadata=None, validation=None, **settings):
        ids = [f"i{row}" for row in range(len(labels))]
        n = len(ids)
        codes = np.array([-1 if label is None else names.index(label) for label in labels])
        images = Images(
            ids, codes, names, np.zeros(n, np.int8), [""] * n, np.zeros((n, 2), int), metadata or {}, source=None
        )
        aside = validation or 0
        rest = Members(ids[n - aside :], labels[n - aside :], np.array(clusters)[n - aside :])
        m = n - aside
        chosen = TrainingSet(ids[:m], labels[:m], np.array(clusters)[:m], np.ones(m), [], rest)
        config = PromptsConfig(template=template, **settings)
        return prompts.function(config, images, chosen, base, work=Work(folder=tmp_path))

    return prompts_of


def fill(template, label, cluster, **columns):
    return Writer([template], {"healthy": "normal"}, {7: "dense"}).write(Record(label, cluster, columns))[0]


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
        ("{cluster:number}", "28"),
        ("{{literal}} {cluster}", "{literal} 27"),
        ("no slot", "no slot"),
        ("{sex}, {sex:title}", "fEMALE, Female"),
    ],
)
def test_every_format_says_what_it_promises(template, text):
    assert fill(template, "DCIS grade 2", 27, sex="fEMALE") == text


def test_names_come_from_the_recipe_and_a_missing_one_is_told():
    assert fill("{label:name} tissue, {cluster:name}", "healthy", 7) == "normal tissue, dense"
    with pytest.raises(DataError, match=r"cluster_names has none for cluster 8") as caught:
        fill("{cluster:name}", "healthy", 8)
    assert "clusters with a name: 7" in caught.value.hint


def test_arms_that_name_other_slots_caption_the_same_images(build):
    labels, clusters = ["a", "a", "b", "b"], [0, 1, 0, 1]
    both = build("{label} type {cluster}", labels, clusters, ["a", "b"])
    label_only = build("{label}", labels, clusters, ["a", "b"])
    assert [prompt.text for prompt in both.prompts] == ["a type 0", "a type 1", "b type 0", "b type 1"]
    assert [(prompt.text, prompt.n_images) for prompt in label_only.prompts] == [("a", 2), ("b", 2)]
    assert label_only.of_image.keys() == both.of_image.keys()


def test_a_prompts_name_does_not_change_when_another_prompt_vanishes_or_the_text_does(build):
    # defects 14 and 16: the original ranked the texts and parsed the label back out of them
    full = build("{label} {cluster}", ["a", "a", "b"], [0, 1, 1], ["a", "b"])
    less = build("picture of {label}, {cluster:words}", ["a", "b"], [1, 1], ["a", "b"])
    assert [prompt.id for prompt in full.prompts] == ["a_c00", "a_c01", "b_c01"]
    assert [prompt.id for prompt in less.prompts] == ["a_c01", "b_c01"]


def test_labels_that_look_alike_in_a_file_name_get_different_names(build):
    names = ["grade 2", "grade-2", "плоско"]
    made = build("{label}", names, [0, 0, 0], names)
    assert len({prompt.id for prompt in made.prompts}) == 3
    assert all(set(prompt.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for prompt in made.prompts)


def test_one_word_without_labels_is_fine_and_a_label_slot_is_not(build):
    assert build("type {cluster}", [None, None], [0, 1], []).prompts[1].id == "c01"
    with pytest.raises(DataError, match=r"names \{label\}"):
        build("{label}", [None], [0], [])


@pytest.mark.parametrize("template", ["{cluster:roman}", "{sex:name}", "{label", "{}", "{label.__class__}", "{0}"])
def test_a_template_that_cannot_be_filled_is_refused(template):
    with pytest.raises(ValidationError):
        PromptsConfig(template=template)


def test_columns_are_part_of_the_record_and_of_the_prompts_name(build):
    made = build("{label}, {sex}, {age}", ["a"] * 4, [0] * 4, ["a"], {"sex": ["f", "m", "f", "f"], "age": [6, 6, 6, 7]})
    assert {one.text: one.n_images for one in made.prompts} == {"a, f, 6": 2, "a, f, 7": 1, "a, m, 6": 1}
    assert {one.id for one in made.prompts} == {"a_age-6_sex-f", "a_age-6_sex-m", "a_age-7_sex-f"}
    assert made.prompts[made.of_image["i1"]].columns == {"age": "6", "sex": "m"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [({}, "no such column"), ({"sex": ["f", None]}, "i1 has nothing in that column"), ({"sex": ["", "f"]}, "i0 has")],
)
def test_a_column_that_is_missing_or_empty_is_told(build, metadata, message):
    with pytest.raises(DataError, match=message) as caught:
        build("{sex}", ["a", "a"], [0, 0], ["a"], metadata)
    assert caught.value.field == "prompts.template"


def test_a_validation_image_has_a_caption_where_its_record_has_a_prompt(build):
    made = build("{cluster}", ["a"] * 4, [0, 1, 1, 2], ["a"], validation=2)
    assert made.of_image == {"i0": 0, "i1": 1, "i2": 1}
    assert [prompt.n_images for prompt in made.prompts] == [1, 1]


def test_a_caption_longer_than_the_text_encoder_takes_is_refused(build):
    with pytest.raises(DataError, match=r"has \d+ tokens, the text encoder takes 24"):
        build("{label} " + "tissue " * 30, ["a"], [0], ["a"])


def test_prompts_that_the_text_encoder_cannot_tell_apart_are_refused(build):
    with pytest.raises(DataError, match="are the same to the text encoder: 'Tumor' and 'tumor'"):
        build("{label}", ["Tumor", "tumor"], [0, 0], ["Tumor", "tumor"])
    with pytest.raises(DataError, match="are the same to the text encoder"):
        build("{label:name}", ["a", "b"], [0, 0], ["a", "b"], label_names={"a": "tissue", "b": "tissue"})


def test_an_empty_caption_is_refused(build):
    with pytest.raises(DataError, match="the caption of prompt a is empty"):
        build("{label:name}", ["a"], [0], ["a"], label_names={"a": " "})


def test_variants_are_written_from_the_same_record(build):
    made = build("{label} tissue", ["a", "b"], [0, 0], ["a", "b"], variants=("tissue, {label}", "image of {label}"))
    assert [(one.text, one.variants) for one in made.prompts] == [
        ("a tissue", ("tissue, a", "image of a")),
        ("b tissue", ("tissue, b", "image of b")),
    ]
    assert numbers_of(made).tolist() == [[0, 3, 4], [1, 5, 6]]  # 2 is the empty caption


def test_pairs_that_no_training_image_shows_have_prompts_of_their_own(build):
    made = build("{label} {cluster}", ["a", "a", "b"], [0, 1, 1], ["a", "b"])
    assert [(prompt.id, prompt.text, prompt.n_images) for prompt in made.unseen] == [("b_c00", "b 0", 0)]
    assert build("{label}", ["a", "a", "b"], [0, 1, 1], ["a", "b"]).unseen == []


def test_permuted_clusters_keep_images_and_counts_and_change_the_captions(build):
    labels, clusters = ["a", "b"] * 20, [row // 2 % 4 for row in range(40)]
    template = "{label} type {cluster:words}"
    as_they_are = build(template, labels, clusters, ["a", "b"])
    dealt = build(template, labels, clusters, ["a", "b"], permute="cluster")
    assert dealt.of_image.keys() == as_they_are.of_image.keys()
    assert {prompt.id: prompt.n_images for prompt in dealt.prompts} == {
        prompt.id: prompt.n_images for prompt in as_they_are.prompts
    }
    changed = sum(dealt.of_image[name] != as_they_are.of_image[name] for name in dealt.of_image)
    assert dealt.n_renamed == changed > 20
    assert dealt.facts()["captions of another cluster"] == changed
    assert build(template, labels, clusters, ["a", "b"], permute="cluster").of_image == dealt.of_image
    assert as_they_are.n_renamed is None


def test_one_cluster_a_label_leaves_nothing_to_permute(build, tmp_path):
    dealt = build("{label} {cluster}", ["a", "b"] * 4, [0, 1] * 4, ["a", "b"], permute="cluster")
    assert dealt.n_renamed == 0
    dealt.save(tmp_path)
    assert type(dealt).load(tmp_path, None).n_renamed == 0


def test_captions_are_refused_before_images_are_encoded():
    order = list(stages())
    assert order.index("prompts") < order.index("latents")


def test_names_of_clusters_play_no_part_where_no_template_asks_for_one():
    silent = PromptsConfig(template="{label}", cluster_names={0: "gland"})
    assert silent.in_use().dump() == PromptsConfig(template="{label}").dump()
    asking = PromptsConfig(template="{label}", variants=["{cluster:name}"], cluster_names={0: "gland"})
    assert asking.in_use().dump()["cluster_names"] == {"0": "gland"}

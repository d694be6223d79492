from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub.errors import GatedRepoError
from machines import machine
from pydantic import ValidationError
from small_data import in_memory
from tiny_clip import save_clip

from mep.errors import DataError, EnvironmentLacks
from mep.imaging.joint import load_joint
from mep.machine.work import Work
from mep.methods.namers.zero_shot import ZeroShot, assigned, names_of

COLOURS = {"brown stain": (120, 70, 30), "blue stain": (80, 90, 160), "pale": (225, 225, 225), "black": (10, 10, 10)}
TERMS = list(COLOURS)


def pictures(colour, n=6):
    rng = np.random.default_rng(sum(colour))
    noise = rng.normal(0, 6, (n, 32, 32, 3))
    return list(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Its texts are where the images of their colours are."""
    return save_clip(tmp_path_factory.mktemp("models") / "clip", TERMS, [pictures(one) for one in COLOURS.values()])


@pytest.fixture
def find(clip, tmp_path):
    """Names of clusters that show these colours, in their order."""

    def found(colours, terms=TERMS, **settings):
        shown = [pictures(COLOURS[colour]) for colour in colours]
        images = in_memory([picture for group in shown for picture in group])
        ids = iter(images.ids)
        members = {cluster: [next(ids) for _ in group] for cluster, group in enumerate(shown)}
        (tmp_path / "terms.txt").write_text("# what there is\n\n" + "\n".join(terms) + "\n", encoding="utf-8")
        namer = ZeroShot(kind="zero_shot", model={"path": clip}, terms=tmp_path / "terms.txt", **settings)
        namer.require()
        return namer.find(images, members, Work(tmp_path, machine=machine(batch_size=4)))

    return found


def test_clusters_have_the_names_that_were_planted_in_the_model(find):
    found = find(["black", "blue stain", "pale", "brown stain"])
    assert [one["name"] for one in found] == ["black", "blue stain", "pale", "brown stain"]
    assert all(one["margin"] > 0 and one["share"] == 1 and one["images"] == 6 for one in found)


def test_a_margin_is_that_of_the_librarys_own_logits(find, clip):
    import torch
    from transformers import AutoProcessor, CLIPModel

    model = CLIPModel.from_pretrained(clip).eval()
    inputs = AutoProcessor.from_pretrained(clip)(
        text=TERMS, images=pictures(COLOURS["pale"]), return_tensors="pt", padding=True
    )
    with torch.no_grad():
        cosines = (model(**inputs).logits_per_image / model.logit_scale.exp()).numpy()
    [found] = find(["pale"])
    others = np.delete(cosines.mean(0), TERMS.index("pale"))
    assert found["margin"] == pytest.approx(cosines.mean(0)[TERMS.index("pale")] - others.max(), abs=1e-5)
    assert found["next"] == [term for term in TERMS if term != "pale"][others.argmax()]


def test_two_clusters_never_share_a_term_and_the_one_that_gives_way_has_a_negative_margin(find):
    found = find(["pale", "pale", "black"])
    assert len({one["name"] for one in found}) == 3
    assert found[2]["name"] == "black"
    [kept] = [one for one in found if one["name"] == "pale"]
    [moved] = [one for one in found[:2] if one["name"] != "pale"]
    assert (kept["margin"] > 0, moved["margin"] < 0, moved["next"], moved["share"]) == (True, True, "pale", 0)


def test_names_by_hand_win_and_their_terms_are_not_given_again(find):
    found = find(["black", "pale"], names={0: "Pale"})
    assert [(one["cluster"], one["name"] == "pale") for one in found] == [(1, False)]
    assert find(["black"], names={0: "ink"}) == []


def test_phrases_stand_around_the_term_and_of_several_the_mean_counts(find, clip):
    [one] = find(["blue stain"], phrases=["{term}", "{term}"])
    [other] = find(["blue stain"])
    assert one["margin"] == pytest.approx(other["margin"], abs=1e-6)
    encoder = load_joint(clip, "cpu")
    texts = [encoder.texts([phrase.replace("{term}", term) for term in TERMS]) for phrase in ("{term}", "a {term}")]
    unit = sum(texts) / np.linalg.norm(sum(texts), axis=1, keepdims=True)
    seen = encoder.images(pictures(COLOURS["blue stain"])).mean(0) @ unit.T
    [found] = find(["blue stain"], phrases=["{term}", "a {term}"])
    place = TERMS.index(found["name"])
    assert found["margin"] == pytest.approx(seen[place] - np.delete(seen, place).max(), abs=1e-5)


def test_the_nearest_pairs_come_together_first():
    # pencil: 0.9 is the largest, so cluster 1 has term 0; of what is left 0.5 is, so cluster 0 has term 2
    means = np.array([[0.8, 0.4, 0.5], [0.9, 0.7, 0.6]])
    assert assigned(means).tolist() == [2, 0]
    # a mean of 0.3 over differences of 0.2 and 0.4: standard error 0.1414 / sqrt 2
    [one] = names_of([5], ["a", "b"], [np.array([[0.6, 0.4], [0.8, 0.4]])], np.array([True, True]))
    assert (one["cluster"], one["name"], one["next"]) == (5, "a", "b")
    assert (one["margin"], one["se"]) == pytest.approx((0.3, 0.1))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (["pale"], "holds 1 terms, two are the least"),
        (["pale", "black", "Pale"], "has 'Pale' twice"),
        (["pale", "black"], "3 clusters are to be named by 2 terms"),
        ([*TERMS, "a " * 40], "tokens, the model reads 20"),
    ],
)
def test_a_list_that_does_not_do_is_told(find, terms, message):
    with pytest.raises(DataError, match=message) as caught:
        find(["pale", "black", "blue stain"], terms)
    assert caught.value.field == "prompts.cluster_names.terms"


def test_a_phrase_without_the_term_is_refused():
    with pytest.raises(ValidationError, match=r"a phrase has to hold \{term\}"):
        ZeroShot(kind="zero_shot", model={"id": "a/b"}, terms="terms.txt", phrases=["histology"])


def test_a_model_that_is_no_clip_is_told_before_anything_runs(vit, clip, tmp_path):
    namer = ZeroShot(kind="zero_shot", model={"path": vit}, terms="terms.txt")
    with pytest.raises(EnvironmentLacks, match="lacks a tokenizer") as caught:
        namer.model.require()
    assert "open_clip" in caught.value.hint
    with pytest.raises(DataError, match="cannot load"):
        load_joint(tmp_path, "cpu")


def test_a_hub_model_whose_files_do_not_do_is_told_and_so_is_one_that_asks_for_access(monkeypatch):
    from mep.machine import hub

    class Hub:
        gated = False

        def repo_info(self, *args, **kwargs):
            files = [type("File", (), {"rfilename": name, "size": 1}) for name in ("config.json", "model.bin")]
            return type("Info", (), {"sha": "0" * 40, "siblings": files, "gated": Hub.gated})

        def auth_check(self, *args, **kwargs):
            raise GatedRepoError("no", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    hub.ask_hub.cache_clear()
    namer = ZeroShot(kind="zero_shot", model={"id": "some/conch"}, terms="terms.txt")
    with pytest.raises(EnvironmentLacks, match="lacks weights as safetensors, preprocessor_config"):
        namer.model.require()
    Hub.gated = True
    hub.ask_hub.cache_clear()
    with pytest.raises(EnvironmentLacks, match="who has accepted its terms") as caught:
        namer.model.require()
    assert "https://huggingface.co/some/conch" in caught.value.hint
    hub.ask_hub.cache_clear()

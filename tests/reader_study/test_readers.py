"""Reader studies: what the page gives away, and what the answers amount to."""

import base64
import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from drawn_run import RUN
from PIL import Image
from study_run import ARMS, mep, study_run

from mep.errors import DataError, UsageError
from mep.reader_study.answers import read_answers
from mep.reader_study.candidates import Candidate, choose
from mep.reader_study.page import page
from mep.reader_study.scoring import score
from mep.reader_study.study import Design, draw
from mep.statistics.intervals import agreement, clopper_pearson, fleiss_kappa, over_readers


def draw_study(store, run_id, **wanted):
    return draw(store, run_id, Design(**wanted))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return study_run(tmp_path_factory.mktemp("study"))


def answer_sheet(folder, key, reader, answer, *, seconds="1.5"):
    """The file of a reader who answers as `answer(row of the key)` says."""
    lines = ["study,reader,item,position,answer,seconds"]
    lines += [f'{key["study"]},"{reader}",{row["item"]},1,{answer(row)},{seconds}' for row in key["items"]]
    path = folder / f"{reader}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_half_of_the_images_are_real_and_labels_and_arms_are_shared_evenly(run):
    study = draw_study(run.store, RUN, n_images=24, seed=1)
    counts = {}
    for item in study.items:
        counts[item.truth, item.arm, item.label] = counts.get((item.truth, item.arm, item.label), 0) + 1
    assert counts == {("real", "", label): 6 for label in ("benign", "tumour")} | {
        ("synthetic", arm, label): 3 for arm in ARMS for label in ("benign", "tumour")
    }
    assert {item.pixels.shape for item in study.items} == {(32, 32, 3)}


def test_real_images_come_from_as_many_slides_as_there_are(run):
    study = draw_study(run.store, RUN, n_images=8, arms=("mep",), seed=3)
    slides = [int(re.search(r"\d+", item.image)[0]) % 6 for item in study.items if item.truth == "real"]
    assert len(set(slides)) == 4


def test_the_page_holds_nothing_but_pixels_that_tells_which_image_is_which(run):
    study = draw_study(run.store, RUN, n_images=24, seed=987654321)
    text = page(study)
    uris = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    assert len(uris) == 24
    assert len({len(uri) for uri in uris}) == 1  # flat synthetic and noisy real images have files of one length
    for uri, item in zip(uris, study.items, strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(uri)))
        assert np.array_equal(np.asarray(picture), item.pixels)
        assert picture.info == {}
        assert [name for name, _ in chunks(base64.b64decode(uri))] == ["IHDR", "IDAT", "IEND"]
    without_images = re.sub(r"data:image/png;base64,[^\"]+", "", text)
    for secret in ("patient_", ".png", "benign", "tumour", *ARMS, RUN, str(study.seed)):
        assert secret not in without_images, secret


def chunks(png):
    place = 8
    while place < len(png):
        size = int.from_bytes(png[place : place + 4], "big")
        yield png[place + 4 : place + 8].decode(), size
        place += 12 + size


def test_the_order_cannot_be_worked_out_from_the_recipe(run):
    orders = [[item.image for item in draw_study(run.store, RUN, n_images=24).items] for _ in range(2)]
    assert orders[0] != orders[1]
    truths = [[item.truth for item in draw_study(run.store, RUN, n_images=24, seed=n).items] for n in range(20)]
    at_first = [sum(one == "real" for one in truth[:12]) for truth in truths]
    assert min(at_first) < 6 < max(at_first)  # neither kind comes first
    again = [[item.image for item in draw_study(run.store, RUN, n_images=24, seed=9).items] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": ("mepp",)}, "the run has no arm 'mepp'"),
        ({"n_images": 60}, "15 real held-out images labelled 'benign' are needed, there are 12"),
        ({"n_images": 8, "n_repeated": 9}, "9 of 8 images cannot be repeated"),
        ({"n_images": 24, "arms": ("mep",), "seed": 1}, None),
        ({"n_images": 26, "arms": ("mep",)}, "7 synthetic (mep) images labelled 'benign' are needed, there are 6"),
    ],
)
def test_what_a_run_cannot_give_is_told(run, options, message):
    if message is None:
        assert len(draw_study(run.store, RUN, **options).items) == 24
        return
    with pytest.raises(UsageError, match=re.escape(message)):
        draw_study(run.store, RUN, **options)


def test_images_without_labels_make_a_study_as_well(tmp_path):
    drawn = study_run(tmp_path, labelled=False)
    study = draw_study(drawn.store, RUN, n_images=10, seed=1)
    assert sum(item.truth == "real" for item in study.items) == 5


def test_an_arm_that_has_drawn_nothing_yet_is_named_with_the_way_on(tmp_path):
    drawn = study_run(tmp_path, drawn_by=ARMS[:1])
    with pytest.raises(UsageError, match="has no result of generation") as caught:
        draw_study(drawn.store, RUN, n_images=2)
    assert caught.value.message.startswith("arm mep of")
    assert caught.value.hint == f"make it: mep resume {RUN}"


def test_a_study_is_made_and_scored_from_the_command_line(run, tmp_path):
    made = mep(run, "reader-study", RUN, "--images", 24)
    assert made.exit_code == 0, made.output
    written = made.stdout.strip()
    key = json.loads(next((run.store.run_folder(RUN) / "reader-keys").glob("*.json")).read_text())
    assert key["study"] in written
    assert "reader-keys" not in written
    sharp = answer_sheet(tmp_path, key, "sharp", lambda row: row["truth"])
    blind = answer_sheet(tmp_path, key, "blind", lambda row: ("real", "synthetic")[row["item"] % 2])
    done = mep(run, "reader-score", RUN, sharp, blind, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    by_name = {one["reader"]: one for one in found["readers"]}
    # 12 of 12 right: the exact lower end is (0.05 / 2) ** (1 / 12) = 0.7354
    assert by_name["sharp"]["sensitivity"]["low"] == pytest.approx(0.025 ** (1 / 12))
    assert by_name["sharp"]["p_guessing"] == pytest.approx(2 * 0.5**24)
    right = sum(("real", "synthetic")[row["item"] % 2] == row["truth"] for row in key["items"])
    assert by_name["blind"]["accuracy"]["value"] == right / 24
    assert found["pooled"]["accuracy"]["value"] == pytest.approx((1 + right / 24) / 2)
    assert set(found["arms"]) == set(ARMS)
    table = mep(run, "reader-score", RUN, sharp, blind).stdout
    assert "Fleiss' kappa" in table
    assert "1.00 (0.74 to 1.00)" in table


def test_open_answers_are_counted_and_left_out(run, tmp_path):
    mep(run, "reader-study", RUN, "--images", 8, "--seed", 4)
    keys = [json.loads(path.read_text()) for path in (run.store.run_folder(RUN) / "reader-keys").glob("*.json")]
    key = next(key for key in keys if len(key["items"]) == 8)
    hasty = answer_sheet(tmp_path, key, "hasty", lambda row: "" if row["item"] > 6 else "real")
    found = json.loads(mep(run, "reader-score", RUN, hasty, "--json").stdout)
    (reader,) = found["readers"]
    assert (reader["n_images"], reader["n_open"]) == (6, 2)
    n_real = sum(row["truth"] == "real" for row in key["items"][:6])
    assert (reader["specificity"]["value"], reader["specificity"]["n"]) == (1.0, n_real)
    assert found["agreement"] is None
    assert "hasty left 2 of 8 images without an answer." in mep(run, "reader-score", RUN, hasty).stdout


HEADER = "study,reader,item,answer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,age\nx,3\n", "has no column study"),
        (HEADER + "\n", "holds no answer"),
        (HEADER + "\nabc,x,1,maybe\n", "answer 'maybe' is neither real nor synthetic"),
        (HEADER + "\nabc,x,1,real\nabc,x,1,real\n", "item '1' is no number, or comes a second time"),
        (HEADER + "\nabc,x,1,real\nabc,y,2,real\n", "holds several readers or studies"),
        ("\ufeff" + HEADER.replace(",", ";") + "\nabc;Müller, A.;1;Real\n", None),
    ],
)
def test_answer_files_are_read_strictly_but_forgive_a_spreadsheet(tmp_path, text, message):
    path = tmp_path / "answers.csv"
    path.write_text(text, encoding="utf-8")
    if message is None:
        (found,) = read_answers([path])
        assert (found.reader, found.given) == ("Müller, A.", {1: "real"})
        return
    with pytest.raises(DataError, match=message):
        read_answers([path])


def test_one_reader_twice_and_an_unknown_study_are_refused(run, tmp_path):
    key = {"study": "abc", "items": [{"item": 1, "truth": "real", "arm": ""}]}
    first = answer_sheet(tmp_path, key, "x", lambda row: "real")
    second = tmp_path / "copy.csv"
    second.write_text(first.read_text())
    with pytest.raises(DataError, match="are both of reader 'x'"):
        read_answers([first, second])
    refused = mep(run, "reader-score", RUN, first)
    assert refused.exit_code == 2
    assert "has no key of study abc" in refused.stderr
    assert "cannot be read: No such file" in mep(run, "reader-score", RUN, tmp_path / "none.csv").stderr


def rated_sheet(folder, key, reader, rate):
    """The file of a reader: answer, confidence and type as `rate(row of the key)` gives them."""
    lines = ["study,reader,item,position,answer,confidence,type,seconds"]
    for row in key["items"]:
        answer, confidence, kind = rate(row)
        lines.append(f'{key["study"]},"{reader}",{row["item"]},1,{answer},{confidence},"{kind}",1.5')
    path = folder / f"{reader}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_repeated_images_come_twice_and_are_counted_once(run, tmp_path):
    study = draw_study(run.store, RUN, n_images=24, n_repeated=6, seed=1)
    key = study.key()
    again = [row for row in key["items"] if row["repeats"]]
    assert (len(study.items), len(again)) == (30, 6)
    for row in again:
        twin = study.items[row["repeats"] - 1]
        assert np.array_equal(study.items[row["item"] - 1].pixels, twin.pixels)
    changed = {row["item"] for row in again[:2]}

    def rate(row):
        turned = {"real": "synthetic", "synthetic": "real"}[row["truth"]]
        return (turned if row["item"] in changed else row["truth"]), 3, ""

    found = score(read_answers([rated_sheet(tmp_path, key, "x", rate)]), key)
    (reader,) = found["readers"]
    assert (found["n_images"], reader["accuracy"]["value"]) == (24, 1.0)
    assert (reader["same_answer"]["value"], reader["same_answer"]["n"]) == (4 / 6, 6)


def test_confidence_gives_a_roc_curve_and_named_types_are_scored(run, tmp_path):
    key = draw_study(run.store, RUN, n_images=24, name="labels", seed=2).key()
    assert key["types"] == ["benign", "tumour"]
    sure = rated_sheet(tmp_path, key, "sure", lambda row: (row["truth"], 5, row["label"]))
    # always "synthetic", but surer where it is: the answer says nothing, the confidence everything
    shy = rated_sheet(tmp_path, key, "shy", lambda row: ("synthetic", 4 if row["arm"] else 2, "benign"))
    found = score(read_answers([sure, shy]), key)
    by_name = {reader["reader"]: reader for reader in found["readers"]}
    assert by_name["shy"]["accuracy"]["value"] == 0.5
    assert by_name["shy"]["auc"]["value"] == by_name["sure"]["auc"]["value"] == found["pooled"]["auc"]["value"] == 1.0
    assert by_name["shy"]["roc"] == [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    assert (by_name["sure"]["type_right"]["value"], by_name["shy"]["type_right"]["value"]) == (1.0, 0.5)
    assert found["pooled"]["type_right"]["value"] == 0.75


@pytest.mark.parametrize("confidence", ["6", "0", "very"])
def test_a_confidence_off_the_scale_is_refused(tmp_path, confidence):
    key = {"study": "abc", "items": [{"item": 1}]}
    with pytest.raises(DataError, match=f"confidence '{confidence}' is not 1, 2, 3, 4 or 5"):
        read_answers([rated_sheet(tmp_path, key, "x", lambda row: ("real", confidence, ""))])


def test_the_page_of_a_study_with_types_names_them_and_nothing_else(run):
    study = draw_study(run.store, RUN, n_images=24, name="labels", n_repeated=4, seed=3)
    text = re.sub(r"data:image/png;base64,[^\"]+", "", page(study))
    assert text.count("benign") == text.count("tumour") == 1  # in the list of what may be named
    for secret in ("repeats", "patient_", *ARMS, RUN):
        assert secret not in text, secret


# ---------------------------------------------------------------------------------------------------------------------
# Clusters to name


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    return study_run(tmp_path_factory.mktemp("clustered"), cluster_names=("glands", "stroma"))


def test_clusters_are_named_by_example_and_only_arms_whose_captions_name_them_are_shown(clustered):
    study = draw_study(clustered.store, RUN, n_images=16, name="clusters", seed=1)
    assert study.types == ["glands", "stroma"]
    assert {item.arm for item in study.items} == {"", "mep"}
    for item in study.items:
        number = int(re.search(r"\d+", item.image)[0])
        assert item.type == study.types[number // 2 % 2]
        assert item.truth == "synthetic" or number % 7 != 6  # an outlier has no type that could be named
    counts = Counter((item.truth, item.label, item.type) for item in study.items)
    assert set(counts.values()) == {2}  # as many of every label and type on both sides
    shown = [np.asarray(Image.open(clustered.folder / f"patient_{number}.png").convert("RGB")) for number in (24, 25)]
    nearest = [picture.mean() for picture in study.examples["glands"][:2]]  # of the training images
    assert nearest == pytest.approx([picture.mean() for picture in shown], abs=1.0)


def test_a_cluster_with_too_few_images_is_left_out_and_an_arm_without_clusters_is_refused(clustered):
    real, synthetic = (
        [Candidate(truth, arm, "", None, 0, kind) for kind, n in (("a", 9), ("b", 9), ("rare", 1)) for _ in range(n)]
        for truth, arm in (("real", ""), ("synthetic", "mep"))
    )
    chosen = choose(real, {"mep": synthetic}, 6, leave_out=True)
    assert Counter((image.truth, image.type) for image in chosen) == dict.fromkeys(
        [("real", "a"), ("real", "b"), ("synthetic", "a"), ("synthetic", "b")], 3
    )
    with pytest.raises(UsageError, match="2 real held-out images are needed, there are 1"):
        choose(real, {"mep": synthetic}, 6, leave_out=False)
    with pytest.raises(UsageError, match="captions of label-only name no cluster"):
        draw_study(clustered.store, RUN, n_images=8, name="clusters", arms=("label-only",))
    with pytest.raises(UsageError, match="no cluster has both real held-out and synthetic images enough"):
        draw_study(clustered.store, RUN, n_images=60, name="clusters")


def test_prompts_are_judged_by_what_readers_see_in_their_images(clustered, tmp_path):
    made = mep(clustered, "reader-study", RUN, "--images", 16, "--name", "clusters", "--seed", 5)
    assert made.exit_code == 0, made.output
    key = json.loads(next((clustered.store.run_folder(RUN) / "reader-keys").glob("*.json")).read_text())
    right = rated_sheet(tmp_path, key, "right", lambda row: (row["truth"], 5, row["type"]))
    # names types of real images right, and of synthetic ones always the same
    half = rated_sheet(tmp_path, key, "half", lambda row: (row["truth"], 4, "glands" if row["arm"] else row["type"]))
    found = json.loads(mep(clustered, "reader-score", RUN, right, half, "--json").stdout)
    of = found["types"]["right"]
    assert (of["real"]["value"], of["mep"]["value"]) == (1.0, 0.75)
    assert found["types"]["named_as"]["stroma"] == {"stroma": 8 + 4, "glands": 4}
    # of 16 images both agree on 12; glands are named by 20 of 32 readings, so chance gives (20² + 12²) / 32²
    chance = (20**2 + 12**2) / 32**2
    assert found["types"]["agreement"]["value"] == pytest.approx((12 / 16 - chance) / (1 - chance))
    table = mep(clustered, "reader-score", RUN, right, half).stdout
    assert re.search(r"^mep +8 +0.75 \(", table, re.MULTILINE)
    assert "Agreement on types, Fleiss' kappa: 0.4" in table


# ---------------------------------------------------------------------------------------------------------------------
# Statistics


def test_exact_intervals_are_the_published_ones():
    # R: binom.test(7, 20) gives 0.1539092 to 0.5921885
    found = clopper_pearson(7, 20)
    assert (found.low, found.high) == pytest.approx((0.1539092, 0.5921885), abs=1e-7)
    assert clopper_pearson(0, 10).low == 0
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert clopper_pearson(0, 0).value is None


def test_fleiss_kappa_is_that_of_the_worked_example():
    # 10 subjects, 14 raters, 5 categories: https://en.wikipedia.org/wiki/Fleiss%27_kappa gives 0.210
    first = "0 0 0 0 14  0 2 6 4 2  0 0 3 5 6  0 3 9 2 0  2 2 8 1 1"
    second = "7 7 0 0 0  3 2 6 3 0  2 5 3 2 2  6 5 2 1 0  0 2 2 3 7"
    counts = np.array(f"{first} {second}".split(), dtype=np.int64).reshape(10, 5)
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)
    assert agreement(counts).low < 0.210 < agreement(counts).high
    assert fleiss_kappa(np.array([[3, 0], [3, 0]])) is None


def test_the_variance_over_readers_and_images_is_the_unbiased_one_of_a_crossed_design():
    # Gallas' moments, counted out pair by pair: Var = mean² - E[two answers of other readers to other images]
    right = np.random.default_rng(4).random((4, 9)) < np.linspace(0.3, 0.9, 9)
    x = right.astype(float)
    others = [
        x[r, c] * x[s, d] for r in range(4) for s in range(4) if s != r for c in range(9) for d in range(9) if d != c
    ]
    variance = x.mean() ** 2 - np.mean(others)
    found = over_readers(right)
    of_reader, of_image = x.mean(1), x.mean(0)
    residual = ((x - of_reader[:, None] - of_image + x.mean()) ** 2).sum() / (3 * 8)
    readers, images = 9 * of_reader.var(ddof=1), 4 * of_image.var(ddof=1)
    assert (readers + images - residual) / 36 == pytest.approx(variance, rel=1e-9)
    freedom = min(3 * ((readers + images - residual) / readers) ** 2, 8)  # of four readers, after Hillis
    from scipy.stats import t

    assert found.high - found.value == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(variance), rel=1e-9)


def test_pooled_intervals_hold_the_truth_about_as_often_as_they_say():
    # Readers and images both differ; the true mean is 0.65.
    rng, held = np.random.default_rng(6), 0
    for _ in range(300):
        chance = 0.65 + rng.uniform(-0.15, 0.15, (5, 1)) + rng.uniform(-0.15, 0.15, 40)
        found = over_readers(rng.random((5, 40)) < chance)
        held += found.low <= 0.65 <= found.high
    assert 0.92 < held / 300 <= 1


def test_five_readers_who_are_all_right_do_not_count_as_five_times_the_images():
    found = over_readers(np.ones((5, 20), dtype=bool))
    assert found.low == pytest.approx(clopper_pearson(20, 20).low)

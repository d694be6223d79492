"""What is pushed, to a hub that this test plays itself."""

import pytest
from drawn_run import RUN
from fake_hub import TOKEN, fake_hub
from shared_run import mep


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own, which the server does not speak
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_push_makes_a_private_model_and_a_private_dataset_that_hold_what_the_folder_does(house, hub, tmp_path):
    done = mep(house, "publish", "--to", "hf://house/tissue", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [f"{hub.url}/house/tissue", f"{hub.url}/datasets/house/tissue"]
    for kind in ("model", "dataset"):
        held = dict(hub.repos[kind, "house/tissue"])
        assert held.pop(".gitattributes") == b""
        assert held == files_of(tmp_path / "out" / kind)
        assert hub.made[kind, "house/tissue"] is True
    card = (tmp_path / "out" / "model" / "README.md").read_text()
    assert 'from_pretrained("house/tissue")' in card
    assert "datasets:\n- house/tissue" in card


def test_the_token_is_in_no_file_no_message_and_no_body(house, hub, tmp_path):
    done = mep(
        house, "publish", "--only", "dataset", "--to", "hf://house/tissue", "--public", "--output", tmp_path / "o"
    )
    assert hub.made == {("dataset", "house/tissue"): False}
    assert TOKEN not in done.output
    assert not any(TOKEN.encode() in content for content in files_of(tmp_path).values())
    assert not any(TOKEN.encode() in content for content in files_of(house.store.root).values())
    assert all(TOKEN not in path and TOKEN.encode() not in body for _, path, _, body in hub.requests)


def test_a_repository_that_holds_something_is_replaced_only_where_that_is_asked_for(house, hub, tmp_path):
    hub.repos["dataset", "house/tissue"] = {".gitattributes": b"", "old.txt": b"old"}
    to = ["publish", "--to", "hf://datasets/house/tissue", "--output", tmp_path / "out"]
    refused = mep(house, *to)
    assert (refused.exit_code, "the hub has a dataset house/tissue already" in refused.stderr) == (2, True)
    assert not (tmp_path / "out").exists()
    done = mep(house, *to, "--update")
    assert done.exit_code == 0, done.output
    assert {".gitattributes", *files_of(tmp_path / "out" / "dataset")} == set(hub.repos["dataset", "house/tissue"])


@pytest.mark.parametrize(
    ("token", "place", "told"),
    [
        (None, "house/x", "HF_TOKEN is not set"),
        ("hf_" + "w" * 30, "house/x", "the hub does not accept the token"),
        (TOKEN, "neighbour/x", "may not write the dataset neighbour/x"),
    ],
)
def test_what_forbids_a_push_is_told_with_what_to_do(house, hub, tmp_path, monkeypatch, token, place, told):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    done = mep(house, "publish", RUN, "--only", "dataset", "--to", f"hf://{place}", "--output", tmp_path / "out")
    assert (done.exit_code, told in done.stderr) == (3, True), done.output
    assert "hint:" in done.stderr


def test_a_hub_that_cannot_be_reached_is_told(house, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # discard: nobody listens
    done = mep(house, "publish", "--to", "hf://house/tissue", "--output", tmp_path / "out")
    assert (done.exit_code, "the hub cannot be reached" in done.stderr) == (3, True), done.output

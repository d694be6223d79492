"""Extractors with weights: the right file or none, the same features in any batch, and the names that papers use."""

import http.server
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mep.errors import DataError, EnvironmentLacks
from mep.machine.files import sha256_of
from mep.methods.extractors import inception as inception_module
from mep.methods.extractors.inception import FILE, Inception
from mep.methods.extractors.timm import Timm
from mep.methods.extractors.transformers import CMMD_MODEL, Transformers


def pictures(n=6, size=40, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (n, size, size, 3), dtype=np.uint8)


class Small(torch.nn.Module):
    """A network with the one attribute of the real file that is used: `layers`, on 299 pixels."""

    def __init__(self):
        super().__init__()
        convolution = torch.nn.Conv2d(3, 16, 7, stride=16)
        self.layers = torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))

    def forward(self, images):
        return self.layers(images)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / FILE
    torch.jit.script(Small()).save(str(path))
    return path


@pytest.fixture
def published(file, monkeypatch):
    """As if the small file were the one that NVIDIA publishes."""
    monkeypatch.setattr(Inception, "SHA256", sha256_of(file))
    monkeypatch.setattr(Inception, "BYTES", file.stat().st_size)
    return file


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """No copy in any cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(inception_module.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    return tmp_path


# --- Inception --------------------------------------------------------------------------------------------------


def test_inception_prepares_images_as_clean_fid_does(published):
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    images = pictures()
    theirs = torch.jit.load(str(published)).eval().layers
    resized = np.stack([build_resizer("clean")(image) for image in images]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = theirs((torch.from_numpy(resized) - 128) / 128).flatten(1).numpy()
    found = Inception(kind="inception", weights=published).load("cpu")(images)
    assert found == pytest.approx(expected, abs=1e-5)
    assert InceptionV3W(str(published.parent), download=False).layers is not None  # their wrapper reads the same file


def test_the_published_file_is_the_only_one_that_is_called_inception(file):
    # the real sha256 and size, which the small file does not have
    assert Inception(kind="inception").digest().startswith("f58cb9b6ec323ed6")
    with pytest.raises(DataError, match=r"of 95607719 bytes: its download was cut short") as caught:
        Inception(kind="inception", weights=file).load("cpu")
    assert "fetch it again from https://nvlabs" in caught.value.hint


def test_a_file_of_another_model_is_refused_before_it_is_loaded(published, tmp_path):
    content = bytearray(published.read_bytes())
    content[-1] ^= 1
    (tmp_path / FILE).write_bytes(content)
    for check in (lambda one: one.load("cpu"), lambda one: one.externals(sha256_of)):
        with pytest.raises(DataError, match="is not the Inception of FID: its sha256 is"):
            check(Inception(kind="inception", weights=tmp_path / FILE))


def test_clean_fid_s_own_copy_is_used(published, empty_machine):
    (empty_machine / "tmp").mkdir()
    (empty_machine / "tmp" / FILE).write_bytes(published.read_bytes())
    assert Inception(kind="inception").load("cpu")(pictures(2)).shape == (2, 16)


@pytest.fixture
def server(published, monkeypatch):
    """Serves the file, or as much of it as the test says."""
    answer = {"content": published.read_bytes()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer["content"])

        def log_message(self, *_):
            """Keep quiet."""

    one = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    monkeypatch.setattr(inception_module, "URL", f"http://127.0.0.1:{one.server_port}/{FILE}")
    yield answer
    one.shutdown()
    one.server_close()


def test_a_download_appears_whole_or_not_at_all(server, empty_machine):
    whole, extractor = server["content"], Inception(kind="inception")
    server["content"] = whole[:-10]
    with pytest.raises(DataError, match="cut short"):
        extractor.load("cpu")
    assert not list((empty_machine / "cache" / "mep").iterdir())
    server["content"] = whole
    assert extractor.load("cpu")(pictures(1)).shape == (1, 16)
    assert [path.name for path in (empty_machine / "cache" / "mep").iterdir()] == [FILE]


def test_without_network_it_says_where_to_get_the_file_and_what_needs_none(published, empty_machine, monkeypatch):
    monkeypatch.setattr(inception_module, "URL", f"http://127.0.0.1:9/{FILE}")
    with pytest.raises(EnvironmentLacks, match="cannot be reached") as caught:
        Inception(kind="inception").require()
    assert Inception(kind="inception").missing().bytes == Inception.BYTES
    assert "efficientnet_lite0" in caught.value.hint


@given(st.integers(2, 5000))
@settings(max_examples=20, deadline=None)
def test_only_inception_and_only_enough_images_give_a_number_called_fid(n):
    name = Inception(kind="inception").metric_name("fd", n, {})
    assert name == ("fid" if n >= 500 else "fd")
    assert Inception(kind="inception").metric_name("kid", n, {}) == "kid"


# --- Vision models by folder ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    folder = tmp_path_factory.mktemp("models") / "clip"
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **sizes)
    text = CLIPTextConfig(vocab_size=50, max_position_embeddings=8, **sizes)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=10))
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    import timm
    from timm.models import save_for_hf

    folder = tmp_path_factory.mktemp("models") / "resnet"
    torch.manual_seed(0)
    save_for_hf(timm.create_model("test_resnet", num_classes=3), folder, safe_serialization="both")
    (folder / "pytorch_model.bin").unlink()
    return folder


@pytest.fixture
def extractors(published, vit, resnet, clip):
    return [
        Inception(kind="inception", weights=published),
        Transformers(kind="transformers", path=vit, pooling="cls+mean"),
        Transformers(kind="transformers", path=clip, pooling="projection"),
        Timm(kind="timm", path=resnet),
    ]


def test_a_row_is_the_same_whatever_else_is_in_the_batch(extractors):
    images = pictures()
    for extractor in extractors:
        features = extractor.load("cpu")
        together = features(images)
        assert together.dtype == np.float32
        alone = np.concatenate([features(images[row : row + 1]) for row in range(len(images))])
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)


def test_the_image_embedding_of_a_clip_is_its_projection(clip):
    from transformers import CLIPModel

    features = Transformers(kind="transformers", path=clip, pooling="projection").load("cpu")
    pixels = features.prepare(pictures(2))
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(clip).eval().get_image_features(pixels).pooler_output.numpy()
    assert features(pictures(2)) == pytest.approx(expected, abs=1e-5)
    assert expected.shape == (2, 10)


def test_a_projection_is_refused_of_a_model_without_one(vit):
    with pytest.raises(DataError, match="has no image projection"):
        Transformers(kind="transformers", path=vit, pooling="projection").load("cpu")


def test_timm_features_are_those_before_the_classifier(resnet):
    import timm

    features = Timm(kind="timm", path=resnet).load("cpu")
    model = timm.create_model(f"local-dir:{resnet}", pretrained=True, num_classes=0).eval()
    with torch.no_grad():
        expected = model(features.prepare(pictures(2))).numpy()
    assert features(pictures(2)) == pytest.approx(expected, abs=1e-5)


def test_a_folder_without_safetensors_or_of_another_architecture_is_refused(resnet, tmp_path):
    with pytest.raises(DataError, match="no weights as safetensors"):
        Timm(kind="timm", path=tmp_path).load("cpu")
    text = (resnet / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("test_resnet", "test_vit"))
    (tmp_path / "model.safetensors").write_bytes((resnet / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="timm cannot load"):
        Timm(kind="timm", path=tmp_path).load("cpu")


def test_name_digest_and_protocol_tell_extractors_apart(extractors):
    assert [one.name for one in extractors] == ["inception", "tiny-vit", "clip", "resnet"]
    assert len({one.digest() for one in extractors}) == 4
    for one in extractors:
        assert set(one.protocol()) == {"layer", "preprocessing", "resize"}
    other = extractors[1].model_copy(update={"pooling": "cls"})
    assert other.digest() != extractors[1].digest()
    assert extractors[3].protocol()["resize"] == "timm transform bilinear @3x160x160"


def test_cmmd_is_the_name_in_the_features_and_with_the_settings_of_its_paper_only():
    from mep.methods.scores.cmmd import Cmmd

    revision = "0123456789abcdef0123456789abcdef01234567"
    paper = Transformers(kind="transformers", id=CMMD_MODEL, revision=revision, pooling="projection")
    assert paper.metric_name("mmd_rbf", 100, Cmmd(kind="cmmd").dump()) == "cmmd"
    assert paper.metric_name("mmd_rbf", 100, Cmmd(kind="cmmd", sigma="median").dump()) == "mmd_rbf"
    tokens = paper.model_copy(update={"pooling": "cls"})
    assert tokens.metric_name("mmd_rbf", 100, Cmmd(kind="cmmd").dump()) == "mmd_rbf"

"""Fixtures that all tests share; what they draw is in support/small_data.py."""

import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are too small to be shared by threads

import pytest
from small_data import draw_imagefolder, real_data, tiny_settings, write_recipe

from mep.machine.libraries import declare_missing_operators

declare_missing_operators()


@pytest.fixture
def pcam():
    return real_data("pcam")


@pytest.fixture
def cxr():
    return real_data("rsna-cxr")


@pytest.fixture
def imagefolder(tmp_path):
    return draw_imagefolder(tmp_path / "images")


@pytest.fixture
def tiny_recipe(tmp_path, imagefolder):
    return write_recipe(tmp_path / "tiny.yaml", tiny_settings(imagefolder))


@pytest.fixture(scope="session")
def vit(tmp_path_factory):
    """A small vision transformer with random weights, saved as the hub would have it."""
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    folder = tmp_path_factory.mktemp("models") / "tiny vit"
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on PATH; on Debian: apt-get install chromium")
    return found

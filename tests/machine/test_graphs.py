"""Compiling: on a GPU alone, with graphs that the next process finds."""

import os

import torch

from mep.machine.graphs import compile_graphs
from mep.machine.libraries import prepare_libraries


def test_a_model_is_compiled_on_a_gpu_with_graphs_in_the_cache(monkeypatch, tmp_path):
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)  # so that what is set below is forgotten afterwards
    layer = torch.nn.Linear(2, 2)
    assert compile_graphs(layer, "cuda:0", tmp_path)
    assert layer._compiled_call_impl is not None
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton")


def test_of_a_denoiser_the_blocks_that_repeat_are_compiled(monkeypatch, tmp_path):
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "set by somebody"))
    prepare_libraries()
    from diffusers import UNet2DConditionModel

    sizes = {"block_out_channels": (8, 8), "cross_attention_dim": 8, "attention_head_dim": 2, "norm_num_groups": 4}
    blocks = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    unet = UNet2DConditionModel(**sizes, down_block_types=blocks[0], up_block_types=blocks[1], layers_per_block=1)
    assert compile_graphs(torch.nn.Sequential(unet), "cuda", tmp_path)
    compiled = [type(part).__name__ for part in unet.modules() if part._compiled_call_impl is not None]
    assert len(compiled) == 4
    assert set(compiled) == {"BasicTransformerBlock"}


def test_on_a_cpu_it_is_left_out_and_said(caplog):
    layer = torch.nn.Linear(2, 2)
    assert not compile_graphs(layer, "cpu")
    assert layer._compiled_call_impl is None
    assert "machine.compile is for GPUs" in caplog.text

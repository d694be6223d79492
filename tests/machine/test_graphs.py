"""Compiling: on a GPU alone, with graphs that the next process finds."""

import os

import torch

from mep.machine.graphs import compile_graphs


def test_a_model_is_compiled_on_a_gpu_with_graphs_in_the_cache(monkeypatch, tmp_path):
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)  # so that what is set below is forgotten afterwards
    layer = torch.nn.Linear(2, 2)
    assert compile_graphs(layer, "cuda:0", tmp_path)
    assert layer._compiled_call_impl is not None
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton")


def test_on_a_cpu_it_is_left_out_and_said(caplog):
    layer = torch.nn.Linear(2, 2)
    assert not compile_graphs(layer, "cpu")
    assert layer._compiled_call_impl is None
    assert "machine.compile is for GPUs" in caplog.text

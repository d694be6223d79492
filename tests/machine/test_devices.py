"""How float32 is multiplied stays as it was, whatever a stage asks for."""

import torch

from mep.imaging.encoders import exact_arithmetic
from mep.machine.devices import products


def state():
    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark


def test_products_are_rounded_only_while_it_is_asked_for_and_features_never_are():
    before = state()
    with products(tf32=True):
        assert state() == ("high", True, False, False)
        with exact_arithmetic("cpu"):
            assert state() == ("highest", False, True, False)
        assert state() == ("high", True, False, False)
    assert state() == before

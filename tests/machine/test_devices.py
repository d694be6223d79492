"""How float32 is multiplied stays as it was, whatever a stage asks for."""

import torch

from mep.imaging.encoders import exact_arithmetic
from mep.machine.devices import fixed_order, products


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


def test_an_order_is_fixed_only_while_it_is_required():
    def order():
        return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic

    before = order()
    with fixed_order(required=False):
        assert order() == before
    with products(tf32=False), fixed_order(required=True):
        assert order() == (True, True)
    assert order() == before

"""A run made by hand, unfinished and finished."""

import pytest
from drawn_run import Drawn, finished


@pytest.fixture
def drawn(tmp_path):
    return Drawn(tmp_path)


@pytest.fixture
def report(drawn):
    """A finished run: 44.0 for the baseline, 31.2 for mep, and halves that lie 12.8 ± 1 apart."""
    return finished(drawn)

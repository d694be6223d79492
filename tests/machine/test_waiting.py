"""Threads that wait leave the cores to who works."""

import os
import subprocess
import sys

import pytest

SHOWN = "import mep.stages; import torch; torch.ones(1000, 1000).sum()"


@pytest.mark.parametrize(("chosen", "wanted"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_of_openmp_sleep_while_they_wait_unless_the_person_wants_otherwise(chosen, wanted):
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = inherited | {"OMP_DISPLAY_ENV": "TRUE"} | chosen  # the library says what it has read
    done = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"OMP_WAIT_POLICY = '{wanted}'" in done.stderr

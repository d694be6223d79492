"""Devices, workers and files: what changes speed and never a result.

Threads of OpenMP that wait for each other sleep here. Otherwise they would spin for a while, hoping that the others
are about to come. Where a second process wants the same cores, spinning keeps the others from coming: two trainings on
two cores took several times as long as one after the other. torch reads the variable when it is imported.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""Two training loops at once beside one after the other, by how threads of OpenMP wait. Run by hand on two cores:

python tests/bench/bench_waiting.py 100        steps of each loop
"""

import os
import subprocess
import sys
import time

LOOP = """
import sys, time
import torch
from torch import nn

torch.set_num_threads(2)
torch.manual_seed(0)
blocks = [(4, 48, 1), (48, 48, 1), (48, 96, 2), (96, 96, 1)]
layers = [[nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(8, b), nn.SiLU()] for a, b, stride in blocks]
net = nn.Sequential(*sum(layers, []), nn.Upsample(scale_factor=2), nn.Conv2d(96, 4, 3, padding=1))
optimizer, x = torch.optim.AdamW(net.parameters()), torch.randn(16, 4, 12, 12)

def step():
    optimizer.zero_grad()
    (net(x) - x).square().mean().backward()
    optimizer.step()

for _ in range(5):
    step()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    step()
print(time.process_time(), flush=True)
"""
WAYS = {
    "as the library has it": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def seconds(n_loops: int, n_steps: str, way: dict[str, str]) -> float:
    """Wall-clock seconds until all loops are done."""
    command = [sys.executable, "-c", LOOP, n_steps]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    loops = [subprocess.Popen(command, env=os.environ | way, **pipes) for _ in range(n_loops)]
    for loop in loops:
        loop.stdout.readline()
    begun = time.perf_counter()
    for loop in loops:
        loop.stdin.write("\n")
        loop.stdin.flush()
    for loop in loops:
        loop.wait()
    return time.perf_counter() - begun


def main(n_steps: str) -> None:
    for name, way in [*WAYS.items(), *reversed(WAYS.items())]:
        alone, together = seconds(1, n_steps, way), seconds(2, n_steps, way)
        print(
            f"{name:<22} alone {alone:.2f} s  two {together:.2f} s  {together / alone / 2:.2f} of one after the other"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`runs/` on a real NFS server: two hosts at work in it at once, and what can go wrong meanwhile.

    scripts/nfs-check                     everything, half an hour on two cores
    scripts/nfs-check doctor cut          the named checks alone

The server and the hosts are virtual machines in /var/tmp/mep-nfs. They run on Debian 12, of packages that `apt-get
download` brings, and need neither root nor /dev/kvm, but 3 GB of memory. The clock of host b is two minutes ahead.
Prints a table of what held; ends with 1 where something did not, with 77 where machines cannot be had.
"""

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab import FOLDER, LEASE_S, Lab
from machines import Command, Machine

REPOSITORY = Path(__file__).parents[2]
SUPPORT = [REPOSITORY, *(REPOSITORY / "tests" / name for name in ("support", "crash", "nfs"))]
sys.path[:0] = map(str, SUPPORT)
from small_data import draw_imagefolder, tiny_settings, write_recipe  # noqa: E402

AHEAD_S = 120
STAGE_S = 8
SKIPPED = 77
ENVIRONMENT = {"PYTHONPATH": ":".join(map(str, SUPPORT)), "OMP_NUM_THREADS": "1", "MEP_RUNS": "/runs/lab"}
SUMS = "cd {}/store && find . -type f ! -name manifest.json | sort | xargs sha256sum"
ATTEMPTS = "SELECT artifact_id, run_id, state, started_at FROM attempts ORDER BY started_at"
KEEPS_OPEN = """
import os, time
from pathlib import Path
files = [path.open('rb') for path in Path('/runs/lab/store').rglob('*') if path.is_file()]
print('open', flush=True)
while not Path('/runs/go').exists():
    os.listdir('/runs'), time.sleep(0.3)
"""


class Bench:
    """Two hosts, and what a run that nobody disturbs leaves on a disk of its own."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.a, self.b = lab.hosts
        self.set_clock()
        self.chain(self.a, MEP_RUNS="/dev/shm/calm").ended(0)
        self.calm = self.a.run(SUMS.format("/dev/shm/calm"))

    def set_clock(self) -> None:
        self.b.run(f"date -s @{time.time() + AHEAD_S}")

    def restart(self) -> None:
        """Both hosts, so that one check leaves nothing to the next."""
        for host in (self.a, self.b):
            host.kill()
            self.lab.start(host)
        self.set_clock()

    def python(self, host: Machine, words: str, **env: str) -> Command:
        return host.begin(f"{sys.executable} {words}", **ENVIRONMENT | env)

    def mep(self, host: Machine, words: str, status: int = 0, **env: str) -> str:
        return self.python(host, f"-m mep {words}", **env).ended(status)

    def chain(self, host: Machine, **env: str) -> Command:
        return self.python(host, f"{REPOSITORY / 'tests/nfs/chain.py'} {STAGE_S}", **env)

    def query(self, sql: str) -> list[dict[str, object]]:
        code = "import json; from pathlib import Path; from mep.store import Store;"
        code += f" print(json.dumps(Store(Path('/runs/lab')).db.query({sql!r})))"
        return json.loads(self.python(self.a, f"-c {shlex.quote(code)}").ended(0).splitlines()[-1])

    def empty(self) -> None:
        self.a.run("rm -rf /runs/lab /runs/go")

    def one_makes_one_waits(self) -> tuple[Command, Command]:
        """Both at work on the chain, at a moment at which the first waits for what the second makes."""
        self.empty()
        both = self.chain(self.a), self.chain(self.b)
        while True:
            for waiter, maker in (both, both[::-1]):
                if waiter.look(0.1) or maker.look():
                    raise RuntimeError(f"nobody had to wait:\n{waiter.text}\n{maker.text}")
                waits = last_line(waiter).startswith("waits for s") and " s0 " not in last_line(waiter)
                if waits and last_line(maker).startswith("makes"):  # since the same moment, unless it is the first
                    return waiter, maker

    def end_well(self, *commands: Command) -> None:
        """All of them, with the bytes of a calm run."""
        for command in commands:
            command.ended(0)
        self.is_whole()

    def is_whole(self) -> None:
        """The bytes of a calm run, all known to the database, and nothing left over."""
        assert self.a.run(SUMS.format("/runs/lab")) == self.calm, "other bytes than those of a calm run"
        assert "nothing bad" in self.mep(self.b, "verify")
        assert not (left := self.a.run("find /runs/lab/work -mindepth 2; find /runs/lab -name '.nfs*'")), left


def doctor(bench: Bench) -> str:
    """`mep doctor` names the mount, and that locks hold"""
    told = bench.mep(bench.b, "doctor")
    assert "nfs4 at /runs, with locks that other hosts see" in told, told
    return "nfs4 at /runs, with locks that other hosts see"


def alone(bench: Bench) -> str:
    """NFS 4 takes no notice of local_lock=all, and `mep doctor` says so"""
    bench.lab.mount(bench.b, "vers=4.2,local_lock=all", "/alone")
    told = bench.python(bench.b, "-m mep doctor", MEP_RUNS="/alone/lab").wait().text
    assert "nfs4 at /alone, with locks that other hosts see" in told, told
    return "locks that other hosts see, all the same"


def together(bench: Bench) -> str:
    """Two hosts run the same recipe at once: every stage is made once"""
    waiter, maker = bench.one_makes_one_waits()
    waiter.ended(0), maker.ended(0)
    made = [row["artifact_id"] for row in bench.query(ATTEMPTS)]
    assert len(made) == len(set(made)) == 10, f"made twice: {sorted(made)}"
    assert not bench.a.run("find /runs/lab -name 'mep.db-wal'")
    bench.is_whole()
    return "10 stages made once, the bytes of a run on a local disk"


def meanwhile(bench: Bench) -> str:
    """`ls`, `gc`, `pin`, `rm` on the other host while a run goes on"""
    bench.empty()
    run = bench.chain(bench.a)
    run.until("makes s1")
    assert "running" in bench.mep(bench.b, "ls")
    bench.mep(bench.b, "gc")
    [row] = bench.query("SELECT run_id FROM runs")
    for words, status in (("pin {}", 0), ("pin --remove {}", 0), ("rm {}", 4)):
        bench.mep(bench.b, words.format(row["run_id"]), status)
    bench.end_well(run)
    return "all as on one host; rm is refused, exit 4"


def killed(bench: Bench) -> str:
    """kill -9 on one host: the other goes on at once"""
    waiter, maker = bench.one_makes_one_waits()
    maker.machine.run("pkill -9 -f chain.py", status=None)
    after = took_over(waiter)
    bench.end_well(waiter)
    return f"after {after:.1f} s"


def lost(bench: Bench) -> str:
    """A host loses power in the middle of a stage: the other goes on after the lease"""
    waiter, maker = bench.one_makes_one_waits()
    maker.machine.kill()
    try:
        after = took_over(waiter)
        waiter.ended(0)
    finally:
        bench.lab.start(maker.machine)
        bench.set_clock()
    bench.is_whole()
    return f"after {after:.0f} s of a lease of {LEASE_S} s"


def server(bench: Bench) -> str:
    """The server loses power in the middle, and comes back: both hosts go on"""
    waiter, maker = bench.one_makes_one_waits()
    bench.lab.server.kill()
    bench.lab.start_server()
    bench.end_well(waiter, maker)
    return "both ended well, no lock was lost"


def blink(bench: Bench) -> str:
    """The network of a host is gone for less than the lease"""
    waiter, maker = bench.one_makes_one_waits()
    maker.machine.network(False)
    time.sleep(LEASE_S / 2)
    maker.machine.network(True)
    bench.end_well(waiter, maker)
    return "both ended well"


def cut(bench: Bench) -> str:
    """It is gone for longer: the other host takes over, and the one that returns gives way"""
    waiter, maker = bench.one_makes_one_waits()
    maker.machine.network(False)
    after = took_over(waiter)
    time.sleep(STAGE_S / 4)
    maker.machine.network(True)
    told = maker.ended(4)
    assert "was taken from this process" in told, told
    bench.end_well(waiter)
    return f"taken over after {after:.0f} s; the other ends with 4"


def full(bench: Bench) -> str:
    """The disk of the server is full: the run says so, and goes on once there is room"""
    bench.empty()
    run = bench.chain(bench.b)
    run.until("makes s1")
    bench.b.run("dd if=/dev/zero of=/runs/fill bs=1M; sync", status=None)
    try:
        told = run.ended(3)
    finally:
        bench.b.run("rm /runs/fill")
    assert "no space left" in told, told
    bench.end_well(bench.chain(bench.a))
    return "exit 3: no space left"


def opened(bench: Bench) -> str:
    """`mep rm` and `gc` while a process of the same host, then of another, has the files open"""
    for host in (bench.a, bench.b):
        bench.empty()
        bench.chain(bench.a).ended(0)
        reader = host.begin(f"{sys.executable} -c {shlex.quote(KEEPS_OPEN)}")
        reader.until("open")
        [row] = bench.query("SELECT run_id FROM runs")
        try:
            bench.mep(bench.a, f"rm {row['run_id']}")
            bench.mep(bench.a, "gc --delete")
        finally:
            bench.a.run("touch /runs/go")
            reader.ended(0)
        bench.mep(bench.a, "gc --delete")
        assert not (left := bench.a.run("find /runs/lab/store /runs/lab/work -type f")), left
    return "gone, and so is what NFS keeps of open files"


def journal(bench: Bench) -> str:
    """Two hosts write lines to one journal, as `mep pin` does to that of a run"""
    bench.empty()
    code = "import sys, platform; from pathlib import Path; from mep.store.journal import append;"
    code += "[append(Path('/runs/journal'), [(platform.node(), {'n': n})]) for n in range(300)]"
    both = [bench.python(host, f"-c {shlex.quote(code)}") for host in (bench.a, bench.b)]
    for one in both:
        one.ended(0)
    lines = bench.a.run("cat /runs/journal; rm /runs/journal").splitlines()
    whole = {json.dumps({name: {"n": n}}) for name in "ab" for n in range(300)}
    assert sorted(lines) == sorted(whole), f"{len(whole.intersection(lines))} lines of 600 are whole"
    return "600 lines of 600 are whole"


def training(bench: Bench) -> str:
    """A real training on a host that loses power: the other goes on from its checkpoint, to the byte"""
    images = FOLDER / "images"
    shutil.rmtree(images, ignore_errors=True)
    settings = tiny_settings(draw_imagefolder(images), training_steps=400)
    settings["machine"]["checkpoint_every_s"] = 0.5
    settings["arms"].pop("label-only")
    run = f"run {write_recipe(FOLDER / 'tiny.yaml', settings)}"
    bench.empty()
    calm = bench.python(bench.a, f"-m mep {run}", MEP_RUNS="/dev/shm/training")
    maker = bench.python(bench.b, f"-m mep {run}")
    calm.ended(0)
    maker.until("/400")
    waiter = bench.python(bench.a, f"-m mep {run}")
    waiter.until("waits")
    assert "running" in bench.mep(bench.a, "status")
    bench.b.kill()
    waiter.ended(0)
    assert bench.a.run(SUMS.format("/runs/lab")) == bench.a.run(SUMS.format("/dev/shm/training"))
    assert "nothing bad" in bench.mep(bench.a, "verify")
    [row] = bench.query("SELECT resume FROM attempts WHERE artifact_id LIKE 'training/%' AND state = 'done'")
    assert row["resume"] == "exact", row
    return "the bytes of a run on a local disk"


def last_line(command: Command) -> str:
    return command.text.rstrip().rpartition("\n")[2]


def took_over(waiter: Command) -> float:
    """Seconds until the host that waits begins to make what it waits for."""
    started = time.monotonic()
    waiter.until("makes", after=len(waiter.text))
    return time.monotonic() - started


CHECKS: tuple[Callable[[Bench], str], ...] = (
    *(doctor, alone, together, meanwhile, killed, lost, server, blink, cut, full, opened, journal, training),
)


def main() -> int:
    asked = sys.argv[1:] or [check.__name__ for check in CHECKS]
    known = {check.__name__: check for check in CHECKS}
    if unknown := set(asked) - set(known):
        print(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    if why := Lab.lacks():
        print(why, file=sys.stderr)
        return SKIPPED
    bad = 0
    with Lab() as lab:
        bench = Bench(lab)
        print("| check | held | what was seen |\n| --- | --- | --- |", flush=True)
        for name in asked:
            try:
                held, seen = "yes", known[name](bench)
            except (AssertionError, RuntimeError, TimeoutError, OSError) as error:
                print(error, file=sys.stderr)
                bench.restart()
                held, seen, bad = "NO", (str(error) or "nothing").splitlines()[0], 1
            print(f"| {known[name].__doc__} | {held} | {seen} |", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())

"""Kernel locks: freed by the kernel when their holder dies, so no unlock command is ever needed."""

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from mep.errors import Locked
from mep.machine.files import KEY, look_anew

POLL_S = 0.2
GLANCE_S = 0.1
"""How long who may not wait tries all the same: somebody may only be looking, as `is_held` does."""
GUARD_S = 5.0
"""How often who works under a lock looks whether it is still its own."""

ResultT = TypeVar("ResultT")

_held: set[int] = set()
"""Descriptors of locks that this process holds."""
_alone: dict[Path, int] = {}
"""The lock file of each that it does not share -> its descriptor."""


def _let_go() -> None:
    """In a forked child: a data worker that outlives a killed run must not keep its locks."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _alone.clear()


os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def hold(
    path: Path,
    *,
    wait_s: float = math.inf,
    shared: bool = False,
    on_wait: Callable[[str], None] = lambda holder: None,
    while_waiting: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold a lock on a file; `on_wait` hears once who holds it meanwhile.

    wait_s          seconds to wait for somebody else; 0 does not wait
    shared          many may hold it at once, as long as nobody holds it alone
    while_waiting   called at every look; what it raises ends the waiting

    Locked      somebody else still holds it
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _held.add(descriptor)
    try:
        deadline = None
        while not _try(descriptor, shared):
            if deadline is None:
                holder, deadline = holder_of(path), time.monotonic() + max(wait_s, GLANCE_S)
                if wait_s > 0:
                    on_wait(holder)
            elif time.monotonic() >= deadline:
                waited = f" after {wait_s:g} s of waiting" if wait_s else ""
                message = f"{path.name} is held by {holder}{waited}"
                raise Locked(message, hint="wait for it (--wait), or stop that process")
            else:
                while_waiting()
                time.sleep(min(POLL_S, max(wait_s, GLANCE_S) / 4))
        if not shared:
            _alone[path] = descriptor
            me = {"host": socket.gethostname(), "pid": os.getpid(), "key": KEY}
            path.write_text(json.dumps(me))  # opened and closed: on NFS others read what was written by then
        yield
    finally:
        if _alone.get(path) == descriptor:
            del _alone[path]
        if descriptor in _held:  # a forked child has closed it already
            _held.remove(descriptor)
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock."""
    look_anew(path.parents[1], path.parent)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, shared=True)
    finally:
        os.close(descriptor)


def refuse_lost(path: Path) -> None:
    """Locked where another process has taken a lock that this one was given.

    A server takes the locks of a host that it has not heard of for long (NFS 4: 90 s), and tells a process of that host
    nothing when it is back. The host may go on showing the lock file as it was, for up to a minute. So the lock is
    asked for once more: the server refuses it, or gives it, and then the host reads the file anew.
    """
    is_refused = path in _alone and not _try(_alone[path], shared=False)
    with contextlib.suppress(FileNotFoundError, ValueError):  # the next holder is about to write its name
        if is_refused or json.loads(path.read_text()).get("key") != KEY:
            raise Locked(
                f"{path.name} was taken from this process, and {holder_of(path)} has it: the file server had not heard"
                " of this host for too long",
                hint="go on once the other one has ended: mep resume",
            )


def guarded(path: Path, look: Callable[[], ResultT]) -> Callable[[], ResultT]:
    """What somebody calls often who works under a lock: every few seconds it also refuses one that is lost."""
    looked = time.monotonic()

    def look_at_both() -> ResultT:
        nonlocal looked
        if time.monotonic() - looked > GUARD_S:
            refuse_lost(path)
            looked = time.monotonic()
        return look()

    return look_at_both


def holder_of(path: Path) -> str:
    """Who holds the lock: the host and process that the file names, or the workers that a dead one left behind."""
    try:
        written = json.loads(path.read_text())
        named, host = int(written["pid"]), str(written["host"])
    except (ValueError, KeyError):
        return "another process"
    keepers = _keepers(path) if host == socket.gethostname() else []
    if keepers and named not in keepers:
        them = ", ".join(map(str, keepers))
        return f"process {them} on {host}, left behind by process {named}, which is gone (kill {them.replace(',', '')})"
    return f"process {named} on {host}"


def _keepers(path: Path) -> list[int]:
    """Processes of this machine that keep a lock on the file, as far as /proc tells."""
    pids = set()
    for info in Path("/proc").glob("[0-9]*/fdinfo/*"):
        process = info.parent.parent
        with contextlib.suppress(OSError):  # it has ended, or it is somebody else's
            if path.samefile(process / "fd" / info.name) and "FLOCK" in info.read_text():
                pids.add(int(process.name))
    return sorted(pids)


def _try(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True

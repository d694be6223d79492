"""Kernel locks: freed by the kernel when their holder dies, so no unlock command is ever needed."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mep.errors import Locked

POLL_S = 0.2


@contextmanager
def hold(path: Path, *, wait: bool = True, on_wait: Callable[[str], None] = lambda holder: None) -> Iterator[None]:
    """Hold an exclusive lock on a file; `on_wait` hears once who holds it meanwhile.

    Locked      somebody else holds it, and wait is False
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try(descriptor):
            holder = holder_of(path)
            if not wait:
                raise Locked(f"{path.name} is held by {holder}", hint="wait for it, or stop that process")
            on_wait(holder)
            while not _try(descriptor):
                time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def holder_of(path: Path) -> str:
    """Host and process that wrote the lock file last."""
    text = path.read_text()
    if not text:
        return "another process"
    holder = json.loads(text)
    return f"process {holder['pid']} on {holder['host']}"


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True

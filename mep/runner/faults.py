"""What the machine does to a run, told with what to do next: a full disk, a read-only folder, too little memory."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mep.errors import EnvironmentLacks, MepError
from mep.machine.devices import peak_memory_mb
from mep.runner.environment import memory_bytes

FULL = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would be larger than this system allows (ulimit -f)",
}
NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "BrokenProcessPool", "WorkerCrashedError")
"""Names of errors: of Python and numpy, of torch and Ray, and of pools whose worker was killed by the system."""
KILLED_WORKER = "is killed by signal: Killed"
"""How a DataLoader of torch says that the system took a worker's memory."""


def explain(error: BaseException, root: Path) -> MepError | None:
    """The error as one of mep's own, None where it is not the machine's doing.

    root    the folder of all runs
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names.intersection(OUT_OF_MEMORY) or KILLED_WORKER in str(error):
        first_line = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
        return EnvironmentLacks(
            f"out of memory: {first_line} (this process held up to {peak_memory_mb() / 1000:.1f} GB;"
            f" the machine has {memory_bytes() / 1e9:.0f} GB)",
            hint="lower machine.batch_size or machine.engine.workers, or training.batch_size",
        )
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:
        where = f" to write {error.filename}" if error.filename else ""
        free_mb = shutil.disk_usage(root).free / 1e6
        return EnvironmentLacks(
            f"{FULL[error.errno]}{where} ({free_mb:,.0f} MB free under {root})",
            hint="free some: mep gc lists what can go",
        )
    if error.errno in NO_FOLDER and not root.is_dir():
        return EnvironmentLacks(
            f"the folder {root} cannot be made: {error.strerror}", hint="name another one: mep --runs DIR"
        )
    if error.errno in READ_ONLY and (error.filename is None or root in Path(str(error.filename)).absolute().parents):
        return EnvironmentLacks(
            f"{error.filename or root} cannot be written: {error.strerror}",
            hint="make the folder writable, or name another one: mep --runs DIR",
        )
    return None


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Errors of the machine as mep's own; all others as they come."""
    try:
        yield
    except OSError as error:
        if (explained_error := explain(error, root)) is None:
            raise
        raise explained_error from error

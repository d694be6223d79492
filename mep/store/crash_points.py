"""Places where a test stops the process dead, to show that nothing is lost there.

MEP_KILL_AT=after-rename                 the first time that any stage gets there
MEP_KILL_AT=mid-work:training:3          the third time that training does
"""

import os
import signal

VARIABLE = "MEP_KILL_AT"
POINTS = (
    "before-intent",  # the lock of the artifact is held, nothing is written
    "after-intent",  # the attempt stands in journal and database
    "mid-work",  # the stage has said how far it is
    "after-outputs",  # the stage has returned and its files are written
    "before-rename",  # the manifest is written and everything has been pushed to the disk
    "after-rename",  # the artifact is in the store
    "before-row",  # and its folder entry has been pushed to the disk
    "after-row",  # the database knows it; the scratch folder is still there
)

_reached = 0


def hit(point: str, stage: str) -> None:
    """Die by SIGKILL where the environment asks for it here; do nothing otherwise."""
    global _reached
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    place, only, count = (*wanted.split(":"), "", "")[:3]
    if place == point and only in ("", stage):
        _reached += 1
        if _reached >= int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)

"""Photograph the report page of a finished run into docs/screens/: python tools/screenshots.py RUNS [RUN]

Needs Chromium. The page is made anew, so that it is the one that this code draws.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "browser"))

from devtools import Page  # noqa: E402

TARGET = REPOSITORY / "docs" / "screens"
SHOTS = {"report": (1440, 900, False), "report-dark": (1440, 900, True), "report-phone": (390, 844, False)}
"""Name of the picture -> width and height of the window in px, and whether the reader's system is dark."""
SETTLE_S = 1.0
"""Until charts and pictures are drawn."""


class PatientPage(Page):
    """A page that may take its time: a busy machine makes other pictures of it otherwise, or none."""

    def wait_for(self, expression: str, timeout_s: float = 120) -> None:
        super().wait_for(expression, timeout_s)


def main(runs: str, run: str | None = None) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("no Chromium on this machine")
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "report.html"
        chosen = [run] if run else []
        command = [sys.executable, "-m", "mep", "--runs", runs, "report", *chosen, "--format", "html"]
        subprocess.run([*command, "--output", str(page_file)], check=True)
        with PatientPage(browser, Path(folder)) as page:
            for name, (width, height, dark) in SHOTS.items():
                page.open(page_file, width=width, height=height, dark=dark)
                time.sleep(SETTLE_S)
                shot = TARGET / f"{name}.png"
                page.shot(shot)
                Image.open(shot).convert("RGB").save(shot, optimize=True)
                print(f"{shot}: {shot.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

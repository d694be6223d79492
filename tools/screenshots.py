"""Photograph the report page of a finished run into docs/screens/: python tools/screenshots.py RUNS [RUN]

Needs Chromium. The page is made anew, so that it is the one that this code draws.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "browser"))

from devtools import Page  # noqa: E402

TARGET = REPOSITORY / "docs" / "screens"


@dataclass(frozen=True)
class Shot:
    """
    width, height   of the window, in px
    dark            whether the reader's system is dark
    before          what is done on the page first, in JavaScript
    has_large_images    whether 256 colours would show
    """

    width: int
    height: int
    dark: bool = False
    on_paper: bool = False
    before: str = ""
    has_large_images: bool = False


ENLARGED = "document.querySelector('#samples img').click()"
SHOTS = {
    "report-1440-light": Shot(1440, 900),
    "report-1440-dark": Shot(1440, 900, dark=True),
    "report-1024-light": Shot(1024, 768),
    "report-1024-dark": Shot(1024, 768, dark=True),
    "report-390-light": Shot(390, 844),
    "report-390-dark": Shot(390, 844, dark=True),
    "report-print": Shot(718, 1015, on_paper=True),  # a sheet of A4 with margins of 1 cm, in CSS pixels
    "table-1440-light": Shot(1440, 900, before="comparison.scrollIntoView()"),
    "lightbox-1440-dark": Shot(
        1440, 900, dark=True, before="document.querySelector('#samples img').click()", has_large_images=True
    ),
}
"""Name of the picture -> how it is taken."""
MARGIN_PX = 38
"""A centimetre on paper."""
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
            for name, shot in SHOTS.items():
                page.open(page_file, width=shot.width, height=shot.height, dark=shot.dark)
                if shot.on_paper:
                    page.call("Emulation.setEmulatedMedia", media="print")
                    page.run("dispatchEvent(new Event('beforeprint'))")
                time.sleep(SETTLE_S)
                if shot.before:
                    page.run(shot.before)
                    time.sleep(SETTLE_S)
                path = TARGET / f"{name}.png"
                page.shot(path)
                page.call("Emulation.setEmulatedMedia", media="")
                picture = Image.open(path).convert("RGB")
                picture = ImageOps.expand(picture, MARGIN_PX, "white") if shot.on_paper else picture
                if not shot.has_large_images:
                    picture = picture.quantize(256, dither=Image.Dither.NONE)
                picture.save(path, optimize=True)
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

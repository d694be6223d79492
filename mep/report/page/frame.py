"""What every page is made with: templates, colours, and scripts that the page's own policy names."""

import base64
import hashlib
from dataclasses import replace
from importlib import resources
from typing import TypedDict

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from mep.report import text
from mep.report.figures.styles import N_STYLES, STYLES
from mep.report.page.meanings import meaning_of

FOLDERS = {"d3": "vendor/d3.min.js", "plot": "vendor/plot.min.js"}
"""Script -> its file, where that is not `templates/NAME.js`."""


class Framed(TypedDict):
    """
    style       CSS
    scripts     JavaScript, in the order of the page
    digests     what the content security policy names: no other script runs
    """

    style: Markup
    scripts: list[Markup]
    digests: list[str]


def framed(*scripts: str) -> Framed:
    texts = [_file(FOLDERS.get(name, f"templates/{name}.js")) for name in scripts]
    style = Markup(_colours() + _file("templates/report.css"))
    return Framed(style=style, scripts=[Markup(script) for script in texts], digests=list(map(digest_of, texts)))


def digest_of(script: str) -> str:
    """SHA-256 of a script as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _colours() -> str:
    """The colours of the styles as CSS, on a white ground and on a dark one."""
    light, dark = (
        "".join(f"--c{number}:{colour};" for number, colour in enumerate(colours))
        for colours in zip(*((style.light, style.dark) for style in STYLES), strict=True)
    )
    on_screen = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    classes = " ".join(f".c{number} {{ --c: var(--c{number}); }}" for number in range(N_STYLES))
    return f":root {{ {light} }}\n{on_screen}\n{classes}\n"


def environment() -> Environment:
    jinja = Environment(loader=PackageLoader("mep.report.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {name: getattr(text, name) for name in ("plain", "listed", "seconds", "memory", "fact", "rounded")}
    jinja.filters |= {"clipped": lambda value, n: text.clipped(text.plain(value), n), "asks": meaning_of}
    jinja.filters |= {"lines": lambda value: Markup("\n").join(map(text.plain, value.splitlines()))}
    jinja.filters |= {"heading": lambda metric: replace(metric, group="all").title}
    return jinja


def _file(name: str) -> str:
    return (resources.files("mep.report.page") / name).read_text(encoding="utf-8")

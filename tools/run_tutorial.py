"""Carry out docs/tutorial.md and put what its commands print into it: python tools/run_tutorial.py [--quick]

All in one empty folder and in their order: Python blocks are run; a YAML block that begins with `# NAME` is saved under
this name, one that begins with `# in NAME` is merged into that file; commands are run. The block without a language
after a command is what it printed. `--quick` leaves out what trains or needs a run.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "tutorial.md"
FOLDER = "/home/ada/study"
"""What the page calls the folder that it was made in."""
QUICK = ("init", "lint", "validate", "plan")
STEP = re.compile(r"```(python|yaml|console)\n(.*?)```\n(?:```\n(.*?)```\n)?", re.S)


@dataclass(frozen=True)
class Shown:
    """Commands of one block, what the page shows of them, and where that stands in the page."""

    commands: list[str]
    text: str
    span: tuple[int, int]
    """From where to where it goes; where the page shows nothing yet it is empty and lies behind the commands."""


def steps(page: str) -> Iterator[tuple[str, str, Shown | None]]:
    """Language and content of each block that does something; commands with what is shown of them."""
    for match in STEP.finditer(page):
        language, block = match[1], match[2]
        commands = [line.removeprefix("$ ").split("  #")[0].strip() for line in block.splitlines()]
        span = match.span(3) if match[3] is not None else (match.end(), match.end())
        shown = Shown(commands, match[3] or "", span) if language == "console" else None
        yield language, block, shown


def carry_out(page: str, folder: Path, quick: bool = False) -> Iterator[tuple[Shown, str]]:
    """What is shown of each block of commands, and what they print in this folder; quick blocks alone if wanted."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "80"}
    environment.pop("MEP_RUNS", None)
    for language, block, shown in steps(page):
        if language == "python":
            subprocess.run([sys.executable, "-c", block], cwd=folder, env=environment, check=True)
        elif language == "yaml" and (named := re.match(r"# (in )?([\w-]+\.yaml)", block)):
            file = folder / named[2]
            file.write_text(merged(file.read_text(), block) if named[1] else block)
        elif shown:
            words = [shlex.split(command) for command in shown.commands]
            ours = all(first[0] == "mep" for first in words)
            if ours and not (quick and any(first[1] not in QUICK for first in words)):
                yield shown, "".join(printed(first[1:], folder, environment) for first in words)


def merged(text: str, changes: str) -> str:
    """A recipe with the fields of another over its own."""

    def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        inner = {name: over(below[name], value) for name, value in above.items() if isinstance(below.get(name), dict)}
        return {**below, **above, **inner}

    return yaml.safe_dump(over(yaml.safe_load(text), yaml.safe_load(changes)), sort_keys=False)


def printed(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What mep prints, without the spaces at the ends of lines, and with the page's folder in place of this one."""
    command = [sys.executable, "-m", "mep", *arguments]
    made = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = made.stdout.replace(str(folder), FOLDER).splitlines()
    return "\n".join([*(line.rstrip() for line in lines), ""])


def main() -> None:
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for shown, text in carry_out(page, Path(folder), quick="--quick" in sys.argv):
            print(f"$ {'; '.join(shown.commands)}\n{text}", flush=True)
            made.append((shown, text))
    for shown, text in reversed(made):
        start, end = shown.span
        page = page[:start] + (text if shown.text else f"```\n{text}```\n") + page[end:]
    PAGE.write_text(page)


if __name__ == "__main__":
    main()

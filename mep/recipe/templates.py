"""The recipes that come with mep, and a copy of one to begin with."""

from pathlib import Path

from mep.errors import UsageError
from mep.machine.files import write_bytes, write_text
from mep.recipe.reader import FORMAT, parse_recipe
from mep.recipe.schema import schema_text
from mep.recipe.text import read_file
from mep.recipe.wording import find_near

SCHEMA = "recipe.schema.json"
SCHEMA_LINE = "# yaml-language-server: $schema="


def templates() -> dict[str, Path]:
    """The path of every template by its name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "shipped").glob("*.yaml"))}


def question_of(path: Path) -> str:
    """What a recipe asks: the first sentence of the comment at its top."""
    lines = [line.removeprefix("#").strip() for line in path.read_text(encoding="utf-8").splitlines()]
    text = " ".join(line for line in lines[1 : lines.index(f"mep: {FORMAT}")] if line)
    return text.partition("? ")[0] + "?" if "? " in text else text.partition(". ")[0]


def start(name: str, target: Path) -> list[Path]:
    """Copy a template, what it extends, the folder of its name and the schema; what was written.

    UsageError      no such template, or a file is there already
    """
    paths = templates()
    if name not in paths:
        raise UsageError(f"there is no template '{name}'", hint=find_near(name, list(paths)))
    files = {target: paths[name]}
    if extends := parse_recipe(read_file(paths[name])).child("extends"):
        for base in extends.items or [extends]:
            files[target.parent / str(base.value)] = paths[name].parent / str(base.value)
    for path, source in files.items():
        if path.exists() and (path == target or path.read_text(encoding="utf-8") != _copied(source)):
            raise UsageError(f"{path} is there already", hint="give another name: mep init FILE")
    beside = paths[name].with_suffix("")
    tables = {target.parent / name / path.name: path for path in sorted(beside.glob("*")) if path.is_file()}
    if there := [path for path in tables if path.exists()]:
        raise UsageError(f"{there[0]} is there already", hint="start in another folder")
    schema = target.absolute().parent / SCHEMA
    if not schema.exists():
        write_text(schema, schema_text())
    for path, source in files.items():
        write_text(path, _copied(source))
    for path, source in tables.items():
        write_bytes(path, source.read_bytes())
    return [*files, *tables, schema]


def _copied(source: Path) -> str:
    text = source.read_text(encoding="utf-8")
    first, rest = text.split("\n", 1)
    return f"{SCHEMA_LINE}{SCHEMA}\n{rest if first.startswith(SCHEMA_LINE) else text}"

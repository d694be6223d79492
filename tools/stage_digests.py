"""Has the source behind a stage moved without its version?

    python tools/stage_digests.py                        say which stages moved
    python tools/stage_digests.py --write                after raising versions, or adding and removing stages
    python tools/stage_digests.py --same-result WHY  after a change that leaves the results as they are

A digest covers every definition of mep that a stage can reach: followed name by name from its function through the
modules, all methods of its families included. Comments, docstrings, error classes, runner and store are left out.
"""

import argparse
import ast
import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
COMMITTED = Path(__file__).with_suffix(".json")
LEFT_OUT = ("mep.errors", "mep.cli", "mep.runner", "mep.store", "mep.report", "mep.recipe")
"""What cannot change the result of a stage."""

Source = Callable[[str], str]
"""Module -> its text."""
Name = tuple[str, str]
"""A module, and a definition at its top."""


def file_of(module: str) -> Path | None:
    path = REPOSITORY.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@cache
def source_of(module: str) -> str:
    path = file_of(module)
    return path.read_text() if path else ""


parsed = cache(ast.parse)


@cache
def definitions(read: Source, module: str) -> dict[str, list[ast.stmt]]:
    """What a module defines at its top: name -> the statements that do."""
    statements: dict[str, list[ast.stmt]] = {}
    for node in parsed(read(module)).body:
        names = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        for name in names:
            statements.setdefault(name, []).append(node)
    return statements


def reach(read: Source, start: Name) -> set[Name]:
    """Every definition that one can reach."""
    seen: set[Name] = set()
    waiting = [start]
    while waiting:
        module, name = waiting.pop()
        if (module, name) not in seen and module != "mep" and not module.startswith(LEFT_OUT):
            seen.add((module, name))
            waiting += used(read, module, name)
    return {(module, name) for module, name in seen if name in definitions(read, module)}


@cache
def used(read: Source, module: str, name: str) -> list[Name]:
    """What a definition names; that of a family also every class in the files of its folder."""
    names: list[Name] = []
    for node in definitions(read, module).get(name, []):
        names += _used_by(read, module, node)
        if isinstance(node, ast.ClassDef) and "Method" in map(ast.unparse, node.bases):
            names += _members(read, module)
    return names


def _used_by(read: Source, module: str, node: ast.stmt) -> Iterator[Name]:
    imported = dict(_imports(parsed(read(module)).body)) | dict(_imports(ast.walk(node)))
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in imported:
            yield from _of_import(read, *imported[part.id])
        elif isinstance(part, ast.Name) and part.id in definitions(read, module):
            yield module, part.id
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in imported:
            holder = ".".join(filter(None, imported[part.value.id]))
            if file_of(holder):
                yield holder, part.attr


def _of_import(read: Source, module: str, name: str) -> Iterator[Name]:
    """`from module import name`, followed to where the name is defined."""
    if not module.startswith("mep") or file_of(f"{module}.{name}"):
        return
    further = dict(_imports(parsed(read(module)).body))
    if name not in definitions(read, module) and name in further:
        yield from _of_import(read, *further[name])
    else:
        yield module, name


def _members(read: Source, package: str) -> Iterator[Name]:
    """The classes in the files of a method folder: each may be named by a recipe."""
    path = file_of(package)
    for file in sorted(path.parent.glob("[!_]*.py")) if path and path.name == "__init__.py" else []:
        module = f"{package}.{file.stem}"
        for name, nodes in definitions(read, module).items():
            if any(isinstance(node, ast.ClassDef) for node in nodes):
                yield module, name


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, Name]]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, (node.module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, (alias.name, "")) for alias in node.names)


def digest(read: Source, start: Name) -> str:
    """Of the code of every definition that one can reach."""
    codes = [
        f"{module}.{name}\n" + "\n".join(map(_text, definitions(read, module)[name]))
        for module, name in sorted(reach(read, start))
    ]
    return hashlib.sha256("\n\n".join(codes).encode()).hexdigest()[:16]


@cache
def _text(node: ast.stmt) -> str:
    """The code of a definition without comments and docstrings, those under fields included."""
    copy = ast.parse(ast.unparse(node))
    for part in ast.walk(copy):
        body = getattr(part, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
            part.body = kept or [ast.Pass()]
    return ast.unparse(copy)


def present(read: Source = source_of) -> dict[str, dict[str, object]]:
    """Stage -> version and digest, as the source is now."""
    sys.path.insert(0, str(REPOSITORY))
    rooms = importlib.import_module("mep.stages")
    functions = {
        stage.function: stage.version
        for stage in (*rooms.stages().values(), *chain.from_iterable(rooms.made_elsewhere().values()))
    }
    return {
        function.__name__: {"version": version, "digest": digest(read, (function.__module__, function.__name__))}
        for function, version in sorted(functions.items(), key=lambda item: item[0].__name__)
    }


def problems(now: dict[str, dict[str, object]], then: dict[str, dict[str, object]]) -> dict[str, str]:
    """Stage -> what is not as it was committed."""
    differences = {}
    for name in sorted(now.keys() | then.keys()):
        if name not in then:
            differences[name] = "is new"
        elif name not in now:
            differences[name] = "is gone"
        elif now[name]["version"] != then[name]["version"]:
            differences[name] = f"has version {now[name]['version']} now, {then[name]['version']} before"
        elif now[name]["digest"] != then[name]["digest"]:
            differences[name] = "moved, and its version did not"
    return differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--same-result", metavar="WHY")
    asked = parser.parse_args()
    now = present()
    then = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    differences = problems(now, then)
    moved = [name for name, what in differences.items() if what.startswith("moved")]
    for name, what in differences.items():
        print(f"{name} {what}")
    if (moved and not asked.same_result) or not (asked.write or asked.same_result):
        if moved:
            print("raise @stage(version=...) where results change; else:")
            print("python tools/stage_digests.py --same-result WHY")
        elif differences:
            print("commit it: python tools/stage_digests.py --write")
        return int(bool(differences))
    for name, stage in now.items():
        before = then.get(name, {})
        notes = before.get("same_result", []) if before.get("version") == stage["version"] else []
        stage["same_result"] = notes + [asked.same_result] * (name in moved)
    COMMITTED.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {COMMITTED.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

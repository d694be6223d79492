"""Types of what stands on the command line: checked when it is typed, so that no command has to."""

from __future__ import annotations

import os
from pathlib import Path

import click


class RunsFolder(click.Path):
    """The folder of the runs; it need not be there yet, but has to be one that could be."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        folder = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        try:
            folder.stat()
        except FileNotFoundError:
            return folder
        except (OSError, ValueError) as error:  # a name too long, a file in the middle of the path, a zero byte
            self.fail(f"{str(folder)[:200]!r} can be no folder: {getattr(error, 'strerror', None) or error}")
        return folder


class InputFile(click.Path):
    """A file to read: a pipe or a device would be waited for, perhaps for ever."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from mep.config import special_file

        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        try:
            what = special_file(path)
        except (OSError, ValueError):
            return path  # the command says what it wanted there
        if what:
            self.fail(f"'{path}' is {what}, not a file")
        return path


class RecipeName(click.Path):
    """The file of a recipe, or the name of one that comes with mep: `quickstart`."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        if path.name != str(path) or path.suffix or os.path.exists(path):
            return path
        from mep.recipe.templates import templates

        return templates().get(str(path), path)


class StoreAddress(click.Path):
    """The address of a shared store: a bucket, or a folder, which is named from the root from here on."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from mep.machine.addresses import checked

        text = str(value)
        try:
            return checked(text if "://" in text else os.path.abspath(text))
        except ValueError as error:
            self.fail(str(error))

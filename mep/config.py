"""The base of every part of a recipe: typed, bounded, frozen, and strict about unknown keys."""

import ast
import hashlib
import inspect
import itertools
import json
import os
import stat
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

HashFile = Callable[[Path], str]
"""Gives the sha256 of a file; the store passes one that remembers by size and mtime."""


@dataclass(frozen=True)
class Download:
    """Something that is not on this machine yet; `bytes` is None where nobody says how large it is."""

    id: str
    revision: str
    bytes: int | None


class Machine(Protocol):
    """What a part of a recipe may ask about the machine that it will run on."""

    @property
    def device(self) -> str: ...

    @property
    def attention(self) -> str: ...

    @property
    def sharded(self) -> bool: ...  # whether each process holds a part of the model (FSDP) and not the whole


class Config(BaseModel):
    """A frozen piece of a recipe. The docstring under a field is its description in the schema."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        validate_default=True,
        defer_build=True,  # a recipe builds the few classes that it names
    )
    elsewhere: ClassVar[dict[str, str]] = {}
    """Of the config of a stage: fields that stand in another section than the others -> where they do."""
    later: ClassVar[tuple[str, ...]] = ()
    """Of the config of a stage: fields that it has not always had, whose default is what was done before."""

    @property
    def also_reads(self) -> tuple[str, ...]:
        """Of the config of a stage: inputs that it can do without, and reads as it is set."""
        return ()

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        """What this part reads from outside the recipe, by content; it enters the fingerprint."""
        return {}

    def missing(self) -> Download | None:
        """What this part would fetch when it runs; None where everything is here."""
        return None

    def require(self) -> None:
        """Make sure that what is missing can be had: EnvironmentLacks where it cannot."""

    def check_machine(self, machine: Machine) -> None:
        """EnvironmentLacks where the machine cannot do what this part asks for."""

    def in_use(self) -> Self:
        """This section of a recipe without what plays no part; all of it unless a section says otherwise."""
        return self

    def dump(self) -> dict[str, Any]:
        """JSON-ready values of every field that can change a result, defaults filled in; without later fields at their
        default, so that what was made before there were any is reused."""
        fields = type(self).model_fields
        unused = {name for name in self.later if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", context={"purpose": "fingerprint"}, exclude=unused)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, text in field_descriptions(cls).items():
            if name in properties:
                properties[name]["description"] = text
        return described


def field_descriptions(config: type[Config]) -> dict[str, str]:
    """Field -> the docstring under it, inherited ones included; read from the source, which takes 0.1 s."""
    descriptions: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        if cls is Config or not issubclass(cls, Config):
            continue
        body = cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]).body
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                lines = inspect.cleandoc(str(text.value.value))
                descriptions[cast(ast.Name, field.target).id] = lines.replace("\n", " ")
    return descriptions


def by_shape(value: object) -> str:
    """Tag of a value that may be plain or a section, as in `k: 33` and `k: {choose: [10, 33]}`."""
    return "section" if isinstance(value, dict | Config) else "plain"


def by_kind(value: object) -> str:
    """Tag of a mapping that may be plain or a method, told by its `kind`."""
    return "section" if isinstance(value, Config) or (isinstance(value, dict) and "kind" in value) else "plain"


def parts(value: object) -> Iterator[Config]:
    """A config and every config nested in it, depth first; also those in a list or a mapping."""
    inner: Iterable[object] = ()
    if isinstance(value, Config):
        yield value
        inner = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, tuple | list | dict):
        inner = value.values() if isinstance(value, dict) else value
    for item in inner:
        yield from parts(item)


def leaves(data: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a mapping, with its dotted name; an empty mapping counts as a value."""
    if isinstance(data, dict) and data:
        for key, item in data.items():
            yield from leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, data


def canonical_json(data: object) -> str:
    """One text for equal data: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(data: object) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


class Anchored(str):
    """Text that was written in another folder than the recipe's; as a path it starts there."""

    folder: Path

    @classmethod
    def at(cls, text: str, folder: Path) -> "Anchored":
        anchored = cls(text)
        anchored.folder = folder
        return anchored


SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
"""Files that are none: reading one may wait for ever, or never end."""


def special_file(path: str | Path) -> str:
    """What a path leads to where that is neither a file nor a folder, else empty; OSError where it leads nowhere."""
    return SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode), "")


def _resolve(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or str(value) == "":
        raise PydanticCustomError("path_type", "a path is wanted")
    context = info.context or {}
    folder = value.folder if isinstance(value, Anchored) else Path(context.get("folder", "."))
    path = Path(os.path.abspath(folder / value))
    if context.get("paths_must_exist"):
        try:
            what = special_file(path)
            problem = f"is {what}, not a file" if what else ""
        except (OSError, ValueError) as error:  # absent, a name too long, a closed folder, a zero byte
            problem = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be opened: {error}"
        if problem:
            raise PydanticCustomError("path_missing", "'{path}' {problem}", {"path": str(path), "problem": problem})
    return path


def _write(path: Path, info: SerializationInfo) -> str | None:
    context = info.context or {}
    if context.get("purpose") == "fingerprint":
        return None  # where a file lies changes no result; its content enters through `externals`
    folder = context.get("folder")
    return os.path.relpath(path, folder) if folder else str(path)


LocalPath = Annotated[Path, BeforeValidator(_resolve), PlainSerializer(_write, return_type=str | None)]
"""A file or folder that the recipe reads, written relative to the recipe file and kept absolute in memory."""


def fold(items: list[tuple[str, str]]) -> str:
    """One digest for many (name, sha256) pairs, whatever their order."""
    joined = "\n".join(f"{sha256}  {name}" for name, sha256 in sorted(items))
    return hashlib.sha256(joined.encode()).hexdigest()


def folder_digest(folder: Path, hash_file: HashFile) -> str:
    """Digest of all files under a folder by relative name and content; of a single file by content."""
    if folder.is_file():
        return hash_file(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return fold([(path.relative_to(folder).as_posix(), hash_file(path)) for path in files])

"""From a record of label, cluster and columns to a caption and a name; never the other way round."""

import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mep.artifacts.findings import Findings, joined
from mep.errors import DataError
from mep.sections.slots import CODES, SAME, optional_parts


@dataclass(frozen=True)
class Record:
    """What captions say of an image; parts that no template names are None or left out."""

    label: str | None = None
    cluster: int | None = None
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def prompt_id(self) -> str:
        """The prompt's name in files and tables; it depends on this record alone."""
        parts = [] if self.label is None else [_slug(self.label)]
        if self.cluster is not None:
            parts.append(f"c{self.cluster:02d}")
        parts += [f"{_slug(name)}-{_slug(value)}" for name, value in sorted(self.columns.items())]
        return "_".join(parts) or "all"

    @property
    def sort_key(self) -> tuple[str, int, list[tuple[str, int, str]]]:
        """By label, cluster and columns; 9 before 10."""
        columns = [(name, int(text) if _counts(text) else -1, text) for name, text in sorted(self.columns.items())]
        return self.label or "", -1 if self.cluster is None else self.cluster, columns


@dataclass(frozen=True)
class Writer:
    """Fills templates; `findings` are those behind each label."""

    templates: Sequence[str]
    label_names: Mapping[str, str]
    cluster_names: Mapping[int, str]
    findings: Findings = field(default_factory=Findings)
    codes: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # coarse and fine number of each cluster
    soft: bool = False  # whether {second} is the second cluster of an image

    def write(self, record: Record) -> list[str]:
        """The text of every template for a record; DataError where the recipe lacks a name that a template asks for."""
        return [self._fill(template, record) for template in self.templates]

    def _fill(self, template: str, record: Record) -> str:
        if self.soft:
            template = optional_parts.sub(r"\1" if "second" in record.columns else "", template)
        parts = string.Formatter().parse(template)
        return "".join(
            text + (self._value(SAME.get(slot, slot), form or "", record) if slot else "")
            for text, slot, form, _ in parts
        )

    def _value(self, slot: str, form: str, record: Record) -> str:
        if form == "name":
            return self._given_name(slot, record)
        if slot == "cluster":
            return _counted(form, record.cluster)
        if slot in ("coarse", "fine") and self.codes and record.cluster is not None:
            return _counted(form, self.codes[record.cluster][slot == "fine"])
        if slot in CODES and _counts(record.columns[slot]):
            return _counted(form, int(record.columns[slot]))
        text = str(record.label) if slot == "label" else record.columns[slot]
        if form == "words":
            return _counted(form, int(text)) if _counts(text) else text
        return {"lower": text.lower(), "title": text.capitalize()}.get(form, text)

    def _given_name(self, slot: str, record: Record) -> str:
        """The name that the recipe gives the record's cluster, its second one or its label, or each of its findings."""
        if slot == "second":
            return _name_in(self.cluster_names, slot, int(record.columns[slot]))
        if slot == "cluster":
            return _name_in(self.cluster_names, slot, record.cluster)
        return joined([_name_in(self.label_names, slot, part) for part in self.findings.of(record.label)])


def _name_in(names: Mapping[Any, str], slot: str, value: str | int | None) -> str:
    if value not in names:
        noun = "label" if slot == "label" else "cluster"
        raise DataError(
            f"the template names {{{slot}:name}}, but prompts.{noun}_names has none for {noun} {value}",
            hint=f"add it there; {noun}s with a name: {', '.join(map(str, names)) or 'none'}",
            field="prompts.template",
        )
    return names[value]


def _counted(form: str, cluster: int | None) -> str:
    """A cluster's number as a template asks for it."""
    if form == "" or cluster is None:
        return str(cluster)
    if form == "number":
        return str(cluster + 1)
    if form == "letter":  # a, b, ... z, aa, ab, ... for 0, 1, ...
        return (_counted(form, cluster // 26 - 1) if cluster >= 26 else "") + chr(ord("a") + cluster % 26)
    from num2words import num2words

    return str(num2words(cluster))


def _counts(text: str) -> bool:
    """Whether a value is a number to count by."""
    return text.isdecimal() and len(text) <= 9


def _slug(text: str) -> str:
    """The text as a file name; where it cannot stand as it is, four hex digits of its sha256 tell it from others."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return slug if slug == text else f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:4]}".strip("-")

"""From a record of label, cluster and columns to a caption and a name; never the other way round."""

import hashlib
import re
import string
from collections.abc import Sequence
from typing import Any

from mep.errors import DataError

FORMATS = {
    "label": {"": "as it is", "lower": "in lower case", "title": "capitalised", "name": "from label_names"},
    "cluster": {"": "from 0", "words": "in words from zero", "letter": "a, b, ... z, aa", "name": "from cluster_names"}
    | {"number": "from 1"},
}
"""Slots of a template, and the formats of each."""
COLUMN_FORMATS = {"": "as it is", "lower": "in lower case", "title": "capitalised"}
"""Formats of a slot that names a metadata column."""


def slots(template: str) -> list[tuple[str, str]]:
    """(slot, format) pairs of a template, in order; ValueError where the braces do not match."""
    return [(name, form or "") for _, name, form, _ in string.Formatter().parse(template) if name is not None]


class Writer:
    """Fills templates."""

    def __init__(self, templates: Sequence[str], label_names: dict[str, str], cluster_names: dict[int, str]):
        self.templates, self.label_names, self.cluster_names = templates, label_names, cluster_names

    def write(self, label: str | None, cluster: int | None, columns: dict[str, str]) -> list[str]:
        """The text of every template for a record.

        DataError   a name is asked for that the recipe does not give
        """
        record = {"label": label, "cluster": cluster, **columns}
        return [self._fill(template, record) for template in self.templates]

    def _fill(self, template: str, record: dict[str, Any]) -> str:
        text = []
        for literal, name, form, _ in string.Formatter().parse(template):
            text.append(literal)
            if name is not None:
                text.append(self._format(name, form or "", record[name]))
        return "".join(text)

    def _format(self, name: str, form: str, value: Any) -> str:
        if form == "name":
            names: dict[Any, str] = self.label_names if name == "label" else self.cluster_names
            if value not in names:
                raise DataError(
                    f"the template names {{{name}:name}}, but prompts.{name}_names has none for {name} {value}",
                    hint=f"add it there; {name}s with a name: {', '.join(map(str, names)) or 'none'}",
                    field="prompts.template",
                )
            return names[value]
        if form == "words":
            from num2words import num2words

            return str(num2words(value))
        if form == "letter":
            return _letters(value)
        if form == "number":
            return str(value + 1)
        return {"": str(value), "lower": str(value).lower(), "title": str(value).capitalize()}[form]


def _letters(number: int) -> str:
    """a, b, ... z, aa, ab, ... for 0, 1, ..."""
    text = ""
    while number >= 0:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
    return text


def identity(label: str | None, cluster: int | None, columns: dict[str, str]) -> str:
    """A prompt's name in files and tables: the same for the same record, whatever other prompts or the template say.

    A label or value that is no file name as it stands gets four hex digits of its sha256 to tell it from its like.
    """
    parts = [] if label is None else [_slug(label)]
    if cluster is not None:
        parts.append(f"c{cluster:02d}")
    parts += [f"{_slug(name)}-{_slug(value)}" for name, value in sorted(columns.items())]
    return "_".join(parts) or "all"


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    if slug == text:
        return slug
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:4]}".strip("-")

"""What a template of captions may name, and where it cannot be filled."""

import re
import string
from collections.abc import Sequence

FORMATS = {
    "label": ("", "lower", "title", "name"),
    "labels": ("", "lower", "title", "name"),
    "cluster": ("", "words", "letter", "name", "number"),
    "truth": ("", "words"),
    "coarse": ("", "words", "letter", "number"),
    "fine": ("", "words", "letter", "number"),
    "second": ("", "words", "letter", "name", "number"),
}
"""The slots of a template and the formats of each; without a format the value stands as it is."""
SAME = {"labels": "label"}
"""Slots that are another way to write one: all findings of an image together are its label."""
CODES = ("coarse", "fine", "second")
"""Slots that some clusterings fill; a metadata column may be called like one."""
optional_parts = re.compile(r"\[([^\[\]]*\{second[:}][^\[\]]*)\]")
"""Text in brackets that names {second}: left out for an image that has no second cluster."""
COLUMN_FORMATS = ("", "lower", "title")
"""The formats of a slot that names a metadata column."""


def slots(template: str) -> list[tuple[str, str]]:
    """(slot, format) pairs of a template, in order; ValueError where the braces do not match."""
    parts = string.Formatter().parse(template)
    return [(SAME.get(name, name), form or "") for _, name, form, _ in parts if name is not None]


def problem_of(templates: Sequence[str], columns: Sequence[str], kind: str, second: float | None) -> tuple[str, str]:
    """What is wrong with these slots in templates, and what to do; two empty texts where nothing is.

    columns     of the metadata, which may be called like one of the slots
    kind        of the clusterer
    second      `clustering.second`
    """
    gives = {"coarse": kind == "hierarchical", "fine": kind == "hierarchical", "second": second is not None}
    for template in templates:
        named = {name for name, _ in slots(template)} & set(CODES)
        for name in sorted(named):
            if gives[name] and name in columns:
                return f"{{{name}}} is a slot and a column of the dataset", "rename the column"
            if not gives[name] and name not in columns:
                return _lacking(name, kind)
        if gives["fine"] and "fine" in named and not {name for name, _ in slots(template)} & {"coarse", "cluster"}:
            return "the template names {fine}, which counts within {coarse}", "name {coarse} as well"
        outside = re.sub(optional_parts.pattern, "", template)
        if gives["second"] and any(name == "second" for name, _ in slots(outside)):
            hint = "as in: type {cluster:words}[ and {second:words}]"
            return "{second} has to stand in brackets, because not every image has a second cluster", hint
    return "", ""


def _lacking(name: str, kind: str) -> tuple[str, str]:
    out = f"or take {{{name}}} out"
    if name == "second":
        hint = f"set it to the least probability that is said, such as 0.2, {out}"
        return "the template names {second}, but clustering.second is not set", hint
    hint = f"clustering.method: {{kind: hierarchical, coarse: ..., fine: ...}}, {out}"
    return f"the template names {{{name}}}, but clusters of kind '{kind}' lie in no coarse ones", hint

"""Recipes gone wrong: bytes that slip in, and trees whose keys and values are swapped for others."""

import copy
import random

TOKENS = [*"{}[]:!'\"|>\\#%?-@`~,&*", "\n", "\t", "\r", ": ", "&a ", "*a", "!!str ", "\\U", "---\n", "...\n", "<<: "]
TOKENS += ["null", "true", "-1", "1e400", ".nan", "0x", "9" * 500, "~x/", "kind", "\x00", "\x85", "\u2028", "\ufeff"]
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2**70,
    1e-300,
    1e300,
    "",
    "none",
    "kmeans",
    "x" * 2000,
    "{label}",
    "{",
    "${vars.a}",
    "$",
]
VALUES += ["../..", "/etc/passwd", "[red]", "\x1b[31m", "=1+1", "<b>", "\u202e", [], {}, [[]], {"kind": "random"}]
VALUES += [{"kind": 3}, {"choose": [2, 3]}, ["frechet", "frechet"], {"a": {"values": [1], "field": "seed"}}]
KEYS = [
    "kind",
    "extends",
    "matrix",
    "vars",
    "seeds",
    "arms",
    "locked",
    "mep",
    "modality",
    "machine",
    "k",
    "path",
    "axes",
]


def damaged(text: str, draw: random.Random) -> bytes:
    """The bytes of a recipe with a few of them replaced."""
    content = bytearray(text.encode())
    for _ in range(draw.choice([1, 1, 2, 5])):
        start = draw.randrange(len(content))
        token = draw.choice([draw.choice(TOKENS).encode(), bytes([draw.randrange(256)])])
        content[start : start + draw.choice([0, 0, 1, 4])] = token
    return bytes(content)


def changed(tree: dict, draw: random.Random) -> dict:
    """A recipe in which some keys are renamed, moved or dropped, and some values are others."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice([1, 1, 2, 4])):
        spots = list(_spots(tree))
        parent, key = draw.choice(spots)
        what = draw.randrange(5)
        if what == 0:
            del parent[key]
        elif what == 1 and isinstance(parent, dict):
            parent[draw.choice(KEYS)] = parent.pop(key)
        elif what == 2:
            other, name = draw.choice(spots)
            parent[key] = copy.deepcopy(other[name])
        elif what == 3 and isinstance(parent, dict):
            parent[draw.choice(KEYS)] = copy.deepcopy(draw.choice(VALUES))
        else:
            parent[key] = copy.deepcopy(draw.choice(VALUES))
    return tree


def _spots(tree):
    """(container, key or index) of every value in a tree."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _spots(tree[key])

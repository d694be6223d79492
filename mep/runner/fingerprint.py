"""What a stage's result depends on, as one digest.

Fingerprint = sha256 of the canonical JSON of {stage, version, the config fields it reads, what lies outside the recipe
by content, the fingerprints of its inputs, the seed where it draws}. Names and `machine:` stay out.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from mep.config import Config, canonical_json, digest, leaves, parts
from mep.stage import Stage

Seed = tuple[int, int]
"""The recipe's seed, and which repeat of it a stage makes: 1 for the first and for every stage that is not repeated."""

LENGTH = 32
"""Hex digits kept of the sha256: 128 bits."""


def ingredients_of(
    stage: Stage, config: Config, externals: list[list[Any]], inputs: dict[str, str], seed: Seed
) -> dict[str, Any]:
    """Everything that the fingerprint is the digest of.

    externals   as `externals_of` gives them
    inputs      role -> stage/fingerprint
    seed        where the stage draws
    """
    found: dict[str, Any] = {
        "stage": stage.name,
        "version": stage.version,
        "config": config.dump(),
        "externals": externals,
        "inputs": inputs,
    }
    if stage.draws:
        found["seed"] = seed[0]
    if seed[1] > 1:
        found["repeat"] = seed[1]
    return found


def seed_of(seed: Seed) -> int:
    """The number that a stage draws from: the recipe's own, and one made of it for every repeat."""
    number, repeat = seed
    if repeat == 1:
        return number
    return int.from_bytes(hashlib.sha256(f"{number}/repeat/{repeat}".encode()).digest()[:8], "big") >> 1


def fingerprint_of(ingredients: dict[str, Any]) -> str:
    return digest(ingredients)[:LENGTH]


def externals_of(config: Config, hash_file: Callable[..., str]) -> list[list[Any]]:
    """[kind, what it reads from outside by content] of every part of a config that reads any."""
    found = []
    for part in parts(config):
        external = part.externals(hash_file)
        if external:
            found.append([getattr(part, "kind", type(part).__name__), external])
    return found


def differences(old: dict[str, Any], new: dict[str, Any], section: str) -> list[str]:
    """What changed between two sets of ingredients, as the person who wrote the recipe would say it."""
    before, after = _flat(old, section), _flat(new, section)
    return [
        f"{name} {_shown(before.get(name))} -> {_shown(after.get(name))}" if not name.startswith("input ") else name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _flat(ingredients: dict[str, Any], section: str) -> dict[str, Any]:
    flat: dict[str, Any] = {"version of the stage": ingredients["version"]}
    flat |= {"seed": ingredients.get("seed"), "repeat": ingredients.get("repeat")}
    flat |= {f"input {role}": source for role, source in ingredients["inputs"].items()}
    for kind, external in ingredients["externals"]:
        flat |= {f"{name} of {kind}": value[:12] for name, value in external.items()}
    return flat | dict(leaves(ingredients["config"], section))


def _shown(value: Any) -> str:
    text = "-" if value is None else canonical_json(value)
    return text if len(text) <= 40 else text[:39] + "…"

"""What the result of a stage depends on, as one digest.

Fingerprint = sha256 of the canonical JSON of {stage, version, the config fields that it reads, what it reads outside
the recipe by content, the fingerprints of its inputs, the seed if it draws}. Names and `machine:` stay out.
"""

import hashlib
from typing import Any

from mep.config import Config, HashFile, canonical_json, leaves, parts
from mep.stage import Stage
from mep.store.manifest import Ingredients

Seed = tuple[int, int]
"""The recipe's seed, and which repeat of it a stage makes: 1 for the first and for every stage that is not repeated."""


def ingredients_of(
    stage: Stage, config: Config, externals: list[list[Any]], inputs: dict[str, str], seed: Seed
) -> Ingredients:
    """Everything that the fingerprint is the digest of; the seed only if the stage draws.

    externals   from `externals_of`
    inputs      role -> stage/fingerprint
    """
    ingredients: Ingredients = {
        "stage": stage.name,
        "version": stage.version,
        "config": config.dump(),
        "externals": externals,
        "inputs": inputs,
    }
    if stage.draws:
        ingredients["seed"] = seed[0]
    if seed[1] > 1:
        ingredients["repeat"] = seed[1]
    return ingredients


def seed_of(seed: Seed) -> int:
    """The number that a stage draws from: the recipe's own, and one made of it for every repeat."""
    number, repeat = seed
    if repeat == 1:
        return number
    return int.from_bytes(hashlib.sha256(f"{number}/repeat/{repeat}".encode()).digest()[:8], "big") >> 1


def externals_of(config: Config, hash_file: HashFile) -> list[list[Any]]:
    """[kind, what it reads from outside by content] of every part of a config that reads any."""
    externals = ((part, part.externals(hash_file)) for part in parts(config))
    return [[getattr(part, "kind", type(part).__name__), content] for part, content in externals if content]


def differences(old: Ingredients, new: Ingredients, section: str) -> list[str]:
    """What changed between two sets of ingredients, as the person who wrote the recipe would say it."""
    before, after = _flat(old, section), _flat(new, section)
    names = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    return [
        name if name.startswith("input ") else f"{name} {_shown(before.get(name))} -> {_shown(after.get(name))}"
        for name in names
    ]


def _flat(ingredients: Ingredients, section: str) -> dict[str, object]:
    flat: dict[str, object] = {"version of the stage": ingredients["version"]}
    flat |= {"seed": ingredients.get("seed"), "repeat": ingredients.get("repeat")}
    flat |= {f"input {role}": source for role, source in ingredients["inputs"].items()}
    for kind, external in ingredients["externals"]:
        flat |= {f"{name} of {kind}": value[:12] for name, value in external.items()}
    return flat | dict(leaves(ingredients["config"], section))


def _shown(value: object) -> str:
    text = "-" if value is None else canonical_json(value)
    return text if len(text) <= 40 else text[:39] + "…"

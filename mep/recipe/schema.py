"""The JSON Schema of a recipe, for editors. It is generous where `load_recipe` is exact.

For arms, and for what a modality supplies, every definition is there again as `NAME-partial`, without required keys.
"""

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any, TypeAlias, cast, get_args, get_origin

from pydantic.json_schema import GenerateJsonSchema

from mep.config import Config
from mep.recipe.annotations import inside, is_config, is_family, plain_or_section
from mep.recipe.compose import modality_layer
from mep.recipe.model import NAME, Experiment
from mep.recipe.reader import FORMAT
from mep.recipe.recipe_file import RecipeFile
from mep.registry import Method, members

Schema: TypeAlias = dict[str, Any]
EXAMPLE = {
    "mep": FORMAT,
    "name": "tissue",
    "modality": "histopathology",
    "seed": 1,
    "dataset": {"source": {"kind": "sample", "tile_px": 48}, "label": "stain", "holdout": {"splits": ["heldout"]}},
    "clustering": {"method": {"kind": "kmeans", "k": 10}},
    "training": {"base": {"kind": "scratch", "resolution": 48}, "steps": 750},
    "generation": {"allocation": {"kind": "per_label", "images": 128}, "guidance": 2},
    "arms": {
        "label-only": {"prompts": {"template": "Histology image of {label} tissue"}},
        "mep": {"prompts": {"template": "Histology image of {label} tissue, morphology type {cluster:words}"}},
    },
}
"""A whole recipe, for editors that show one."""
REF = "#/$defs/"
PARTIAL = "-partial"


def schema_text() -> str:
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def recipe_schema() -> Schema:
    """JSON Schema of a recipe file, draft 2020-12."""
    root = RecipeFile.model_json_schema(schema_generator=_NoTitles)
    definitions: dict[str, Schema] = root.pop("$defs")
    _finish_fields(RecipeFile, root, definitions)
    definitions |= {f"{name}{PARTIAL}": _partial(definition) for name, definition in definitions.items()}
    experiment = {name: root["properties"][name] for name in Experiment.model_fields}
    definitions["Arm"] = _partial({"type": "object", "additionalProperties": False, "properties": experiment})
    arms = {"propertyNames": {"pattern": NAME}, "additionalProperties": {"$ref": f"{REF}Arm"}}
    root["properties"]["arms"] |= arms
    definitions["Axis"]["properties"]["variants"] |= arms
    modalities = get_args(RecipeFile.model_fields["modality"].annotation)
    layers = [cast(Schema, modality_layer(name).plain()) for name in modalities]
    _supply(reduce(_shared, layers), root, definitions)
    used = set(_reachable(root, definitions))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:mep:recipe:{FORMAT}",
        **root,
        "title": "mep recipe",
        "examples": [EXAMPLE],
        "$defs": {name: definitions[name] for name in sorted(used)},
    }


class _NoTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _finish_fields(config: type[Config], schema: Schema, definitions: dict[str, Schema]) -> None:
    for name, field in config.model_fields.items():
        _finish(field.annotation, schema["properties"][name], definitions)


def _finish(annotation: object, schema: Schema, definitions: dict[str, Schema]) -> None:
    inner = inside(annotation, items=False)
    either = plain_or_section(inner)
    if inner is not annotation and "anyOf" in schema:  # `... | None`
        _finish(inner, schema["anyOf"][0], definitions)
    elif get_origin(inner) is tuple:
        _finish(get_args(inner)[0], schema["items"], definitions)
    elif either:
        _finish(either[1], schema["oneOf"][1], definitions)
    elif is_family(inner):
        _finish_family(inner, schema, definitions)
    elif is_config(inner):
        schema.setdefault("description", _first_line(inner))
        _finish_fields(inner, _definition(schema, definitions), definitions)


def _finish_family(family: type[Method], schema: Schema, definitions: dict[str, Schema]) -> None:
    methods = members(family)
    if "properties" in schema:  # the only member of a family is written out in place
        name = next(iter(methods.values())).__name__
        moved = [key for key in schema if key not in ("default", "description")]
        definitions[name] = {key: schema.pop(key) for key in moved}
        schema["$ref"] = REF + name
    refs = [schema] if "$ref" in schema else schema["oneOf"]
    for method, ref in zip(methods.values(), refs, strict=True):
        definition = _definition(ref, definitions)
        definition["properties"]["kind"]["description"] = _first_line(method)
        _finish_fields(method, definition, definitions)
    schema["anyOf"] = [{"enum": list(methods)}, *({"$ref": ref["$ref"]} for ref in refs)]
    schema.setdefault("description", _first_line(family))
    for key in ("$ref", "oneOf", "discriminator"):
        schema.pop(key, None)


def _definition(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    return definitions[schema["$ref"].removeprefix(REF)]


def _first_line(config: type[Config]) -> str:
    return (config.__doc__ or "").strip().splitlines()[0]


def _partial(schema: Schema) -> Schema:
    """The same without required keys, all the way down; lists stay as they are, since they are given whole."""
    partial = {key: value for key, value in schema.items() if key != "required"}
    if "$ref" in partial:
        partial["$ref"] += PARTIAL
    if "properties" in partial:
        partial["properties"] = {name: _partial(inner) for name, inner in partial["properties"].items()}
    if "anyOf" in partial:
        partial["anyOf"] = [_partial(inner) for inner in partial["anyOf"]]
    return partial


def _shared(layer: Schema, other: Schema) -> Schema:
    """The keys that two base layers both supply; of a method only that it is one."""
    shared = {}
    for key in layer.keys() & other.keys():
        is_section = isinstance(layer[key], dict) and isinstance(other[key], dict) and "kind" not in layer[key]
        shared[key] = _shared(layer[key], other[key]) if is_section else layer[key]
    return shared


def _supply(values: Schema, schema: Schema, definitions: dict[str, Schema]) -> None:
    optional = {key for key, value in values.items() if _is_supplied(key, value, schema, definitions)}
    schema["required"] = [key for key in schema.get("required", []) if key not in optional]


def _is_supplied(key: str, value: object, schema: Schema, definitions: dict[str, Schema]) -> bool:
    """Can a recipe leave out this key? What lies under it is made optional where the base layer gives it."""
    if not isinstance(value, dict):
        return True
    if "kind" in value:
        schema["properties"][key] = _partial(schema["properties"][key])
        return True
    section = _definition(schema["properties"][key], definitions)
    _supply(value, section, definitions)
    return not section["required"]


def _reachable(schema: object, definitions: dict[str, Schema]) -> Iterator[str]:
    """Names of the definitions that a schema refers to, directly or not."""
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _reachable(part, definitions)
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        name = schema["$ref"].removeprefix(REF)
        yield name
        yield from _reachable(definitions[name], definitions)

"""Croissant metadata of the synthetic dataset: what other programs, and search engines for datasets, read.

Source      MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.machine.files import sha256_of

if TYPE_CHECKING:
    from datasets import Features

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
PARQUET = "application/x-parquet"
DESCRIPTIONS = {
    "image": "The synthetic image, as the file that the model's drawing was saved to.",
    "prompt": "The caption that the image was drawn for; empty where it stays behind.",
    "label": "Number of the label that the caption asked for: {labels}.",
    "cluster": "Number of the cluster that the caption asked for.",
    "prompt_id": "Name of the caption.",
    "seed": "Seed that the image was drawn from.",
}
TYPES = {"image": "sc:ImageObject", "label": "sc:Integer", "cluster": "sc:Integer", "seed": "sc:Integer"}


def croissant(about: Mapping[str, Any], features: "Features", shards: Sequence[Path]) -> dict[str, Any]:
    """The metadata as JSON-LD.

    about       name, description, license, url, version, datePublished, creator and the like, in words of schema.org
    shards      parquet files below `data/`
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "contentUrl": f"data/{path.name}",
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": PARQUET,
            "sha256": sha256_of(path),
        }
        for path in shards
    ]
    together = {"@type": "cr:FileSet", "@id": "shards", "name": "shards", "encodingFormat": PARQUET}
    together |= {"description": "All shards.", "includes": "data/*.parquet"}
    labels = ", ".join(f"{number} {name}" for number, name in enumerate(_names(features)))
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"samples/{name}",
            "name": name,
            "description": DESCRIPTIONS[name].format(labels=labels),
            "dataType": TYPES.get(name, "sc:Text"),
            "source": {"fileSet": {"@id": "shards"}, "extract": {"column": name}}
            | ({"transform": {"jsonPath": "bytes"}} if name == "image" else {}),
        }
        for name in features
    ]
    records = {"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "description": "An image a record."}
    described = {"@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0"}
    return described | dict(about) | {"distribution": [*files, together], "recordSet": [records | {"field": fields}]}


def _names(features: "Features") -> Sequence[str]:
    return features["label"].names if "label" in features else ()

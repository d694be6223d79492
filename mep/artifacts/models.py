"""Models, what they are trained on, and what they draw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Artifact, InFolder
from mep.config import Config
from mep.machine.files import read_json, read_json_lines, write_json

Facts: TypeAlias = dict[str, str | int]


@dataclass(frozen=True, eq=False)
class InPipeline(InFolder):
    """A pipeline of a known family in `pipeline/`, and the losses of what was trained."""

    about: ClassVar[str]  # the JSON file that says how it was made

    @property
    def resolution(self) -> int:
        return int(read_json(self.folder / self.about)["resolution"])

    @property
    def pipeline(self) -> Path:
        return self.folder / "pipeline"

    @property
    def losses(self) -> list[dict[str, float]]:
        return read_json_lines(self.folder / "losses.jsonl")


@dataclass(frozen=True, eq=False)
class BaseModel(InPipeline):
    """A pipeline to start from, in `pipeline/`, and how its autoencoder was trained, if it was.

    There is no `pipeline/` where the recipe names no model to start from.
    """

    about: ClassVar[str] = "base.json"

    @property
    def origin(self) -> dict[str, str]:
        """Where it comes from: kind, and of a pretrained one id, revision and license where they are known."""
        return {name: value for name, value in read_json(self.folder / self.about).items() if name != "resolution"}

    def facts(self) -> Facts:
        return {"kind": self.origin["kind"], "side": f"{self.resolution} px"}


@dataclass(frozen=True, eq=False)
class LatentPlaces:
    """Where the latents of every image lie: in little memory, as there may be a million of them.

    shards      names
    shard       int32 (n,)    number of the shard
    row         int32 (n,)    row in it
    of_image    image id -> its number among the n
    """

    shards: list[str]
    shard: NDArray[np.int32]
    row: NDArray[np.int32]
    of_image: dict[str, int]

    def __call__(self, image_id: str) -> tuple[str, int]:
        """Name of the shard, and the row in it."""
        number = self.of_image[image_id]
        return self.shards[self.shard[number]], int(self.row[number])


@dataclass(frozen=True, eq=False)
class Latents(InFolder):
    """The autoencoder's posterior for every training and validation image under every symmetry, memory-mapped.

    `index.parquet` says in which shard and row an image lies. A shard is float32 (n, s, 2, c, h, w): mean and standard
    deviation, unscaled, under s symmetries; or uint8 (n, bytes), the same as `mep.diffusion.latent_rows.Compact` packs
    it. Without shards the training encodes from pixels.
    """

    @property
    def cached(self) -> bool:
        return any((self.folder / "shards").glob("*.npy"))

    @property
    def places(self) -> "LatentPlaces":
        import pyarrow.parquet as pq

        table = pq.read_table(self.folder / "index.parquet").combine_chunks()
        shards = table["shard"].dictionary_encode().combine_chunks()
        numbers, rows = shards.indices.to_numpy(), table["row"].to_numpy()
        of_image = {image_id: place for place, image_id in enumerate(table["id"].to_pylist())}
        return LatentPlaces(shards.dictionary.to_pylist(), numbers.astype(np.int32), rows.astype(np.int32), of_image)

    def shard(self, name: str) -> NDArray[Any]:
        return cast(NDArray[Any], np.load(self.folder / "shards" / f"{name}.npy", mmap_mode="r"))

    def facts(self) -> Facts:
        facts = read_json(self.folder / "latents.json")
        return {name: facts[name] for name in ("images", "symmetries", "shape")}


@dataclass(frozen=True, eq=False)
class Model(InPipeline):
    """The fine-tuned pipeline in `pipeline/`, which `from_pretrained` of its class loads, and its losses.

    With LoRA `pipeline/` is the base, and `lora/` holds what load_lora_weights reads;
    `mep.diffusion.pipelines.load_pipeline` fuses the two. `raw/` holds the last weights where those of generation are
    their moving average.
    """

    about: ClassVar[str] = "training.json"

    @property
    def validation(self) -> list[dict[str, Any]]:
        """Denoising loss on validation images at each evaluation: step, loss, n, and by label and cluster."""
        return read_json_lines(self.folder / "validation.jsonl")

    def facts(self) -> Facts:
        facts = read_json(self.folder / self.about)
        return {name: facts[name] for name in ("steps", "images", "parameters", "made") if name in facts}


@dataclass(frozen=True, eq=False)
class Guidance(Artifact):
    """How strongly generation follows the captions, and the curve that this was chosen from, if it was.

    curve       rows of guidance, by (kid or frechet), value (None where all images were refused), se, n_real, n_fake,
                refused
    """

    scale: float
    curve: list[dict[str, Any]]

    def save(self, folder: Path) -> None:
        write_json(folder / "guidance.json", {"scale": self.scale, "curve": self.curve})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(**read_json(folder / "guidance.json"))

    def facts(self) -> Facts:
        how = f", the best of {len(self.curve)} by {self.curve[0]['by']}" if self.curve else ""
        return {"scale": f"{self.scale:g}{how}"}


@dataclass(frozen=True, eq=False)
class Samples(InFolder):
    """The synthetic dataset: an imagefolder with metadata.jsonl, contact sheets in `__sheets__/`.

    Samples that were refused (black, constant, not finite) have no file; refused.jsonl names them.
    """

    @property
    def rows(self) -> list[dict[str, Any]]:
        return read_json_lines(self.folder / "metadata.jsonl")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: dict[str, Any]) -> NDArray[np.uint8]:
        """RGB pixels (h, w, 3) of a sample."""
        from PIL import Image

        with Image.open(self.folder / row["file_name"]) as image:
            return np.asarray(image.convert("RGB"))

    def facts(self) -> Facts:
        path = self.folder / "generation.json"
        if not path.exists():  # an imagefolder from elsewhere
            return {"images": len(self), "prompts": len({row["prompt_id"] for row in self.rows})}
        facts = read_json(path)  # counting a million rows would take gigabytes
        refused = sum(facts["refused"].values())
        more = {"refused": refused} if refused else {}
        more |= {"made": facts["made"]} if "made" in facts else {}
        more |= {"left out": n} if (n := facts.get("there", facts["images"]) - facts["images"] - refused) > 0 else {}
        return {"images": facts["images"], "prompts": facts["prompts"]} | more

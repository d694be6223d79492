"""A recipe as it is written: an experiment, its arms, and the machine that it runs on."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config
from mep.machine.settings import MachineConfig
from mep.recipe.controls import Control
from mep.recipe.model import MOST_SEEDS, NAME, Experiment


def _scalar(value: object) -> object:
    if not isinstance(value, str | bool | int | float) or len(str(value)) > 1000:
        raise PydanticCustomError("scalar", "wanted text of up to 1000 characters, a number, true or false")
    return value


Scalar = Annotated[
    object, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": 1000})
]


class Axis(Config):
    """One axis of a matrix: a field and its values, or named variants."""

    field: str | None = None
    """Field of the experiment that changes along the axis, such as clustering.method.k."""
    values: tuple[object, ...] = ()
    """The values of the field; the arms are called by axis and value, such as k-33."""
    variants: dict[str, dict[str, object]] = Field(default_factory=dict)
    """What changes along the axis, as in `arms`; the arms are called by these names."""

    @model_validator(mode="after")
    def _one_form(self) -> "Axis":
        if bool(self.field is not None and self.values) == bool(self.variants):
            raise ValueError("wanted field and values, or variants")
        return self


class MatrixConfig(Config):
    """Arms from every combination of the values of its axes."""

    axes: dict[str, Axis] = Field(min_length=1)
    """What changes, by the name of the axis."""
    exclude: tuple[dict[str, Scalar], ...] = ()
    """Combinations to leave out: values by axis. One that names some axes leaves out all that agree with it there."""
    include: tuple[dict[str, Scalar], ...] = ()
    """Combinations to add: values by axis, also such as the axis does not have. An axis that is not named stays as it
    is without the matrix."""


class LockedConfig(Config):
    """What a recipe was run with. Written by mep, and compared with what is there when the lock is run."""

    mep: str
    """Version of mep."""
    python: str
    """Version of Python."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that a result may depend on."""
    inputs: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Field that names something outside the recipe -> its content: sha256 of files, commit of a model."""
    dataset: dict[str, dict[str, Annotated[int, Field(le=2**63 - 1)]]] = Field(default_factory=dict)
    """Arms -> how many images the dataset has."""


class RecipeFile(Experiment):
    """A recipe as it is written."""

    mep: Literal[2] = 2
    """Version of the recipe format."""
    name: str = Field(pattern=NAME)
    """Name of the experiment: letters, digits, dots, dashes and underscores."""
    description: str = ""
    """What the experiment asks."""
    modality: Literal["generic", "histopathology", "cxr"] = "generic"
    """Base layer of defaults shipped with mep; the recipe overrides it."""
    arms: dict[str, dict[str, object]] = Field(default_factory=dict)
    """Variants of the experiment by name, each with the fields that it changes; the first is the baseline."""
    matrix: MatrixConfig | None = None
    """More arms, from every combination of some values."""
    controls: tuple[Control, ...] = ()
    """Arms whose result is known, run beside the others. negative: the baseline again from other seeds, which must not
    differ. shuffled: the first arm whose captions name {cluster}, its clusters dealt out by lot. positive: the
    baseline with dataset.truth in its captions, which must be better."""
    seeds: int = Field(1, ge=1, le=MOST_SEEDS)
    """How often every arm is trained, each time from another seed; what comes before training is shared. One seed
    compares two sets of images, several compare two methods."""
    extends: str | tuple[str, ...] = ()
    """Recipes to build on, named from where this file lies, in its folder or below. Mappings merge, later files win,
    this one last."""
    vars: dict[str, Scalar] = Field(default_factory=dict)
    """Values by name, filled in wherever ${vars.name} is written."""
    machine: MachineConfig = MachineConfig()
    """What changes speed and memory but never a result."""
    locked: LockedConfig | None = None
    """What the recipe was run with; mep writes it into recipe.lock.yaml."""

"""The section `dataset`: where the images come from, what labels them, and which are held out."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mep.config import Config, HashFile, LocalPath
from mep.methods.framings import Framing
from mep.methods.framings.crop import Crop
from mep.methods.sources import Source
from mep.registry import OneOf
from mep.sections.columns import Columns, names_of, widths_of


class LabelsConfig(Config):
    """Several labels an image: a column for each finding, or one column that lists what there is."""

    columns: tuple[str, ...] = ()
    """A column for each finding: 1, yes or true where it is there, 0, no or false where it is not."""
    column: str | None = None
    """Column that lists the findings of an image, as text or as a list."""
    separator: str | None = Field(None, min_length=1)
    """What stands between two findings in the text of `column`. Null: the column holds lists."""
    none: str = Field("no finding", min_length=1)
    """The label of images without a finding. Where `column` lists it as if it were a finding, there is none."""
    blank: Literal["refuse", "absent"] = "refuse"
    """What an empty field means: the run stops, or no finding is there."""
    uncertain: Literal["refuse", "absent", "present"] = "refuse"
    """What -1 in `columns` means, as CheXpert marks what a report leaves open: the run stops, or the finding is absent
    or present (Irvin et al. 2019, arXiv:1901.07031: U-Zeros and U-Ones)."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.columns) == (self.column is not None):
            raise ValueError("give columns (one a finding), or column (which lists the findings)")
        if self.columns and self.separator is not None:
            raise ValueError("separator is about column, which lists the findings")
        for place, name in enumerate(self.columns):
            if name in self.columns[:place]:
                raise ValueError(f"'{name}' is named twice")
            if name.lower() == self.none.lower():
                raise ValueError(f"'{name}' is the label of images without a finding, and no finding itself")
        return self


class _SideConfig(Config):
    splits: tuple[str, ...] = ()
    fraction: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.splits and self.fraction:
            raise ValueError("name splits or a fraction, not both")
        return self


class HoldoutConfig(_SideConfig):
    """Which images only metrics may see: those of given splits, or a fraction of all."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are held out; every other split is trained on."""
    fraction: float | None = Field(None, gt=0, lt=1)
    """Share of the images of every label, drawn by the recipe's seed. Default 0.2 where no split is named."""

    @property
    def drawn(self) -> float:
        """The share that is drawn; 0 where splits are named."""
        return 0.0 if self.splits else self.fraction or 0.2


class ValidationConfig(_SideConfig):
    """Which images are never fitted on, but embedded, assigned to clusters and watched while training."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are for validation."""
    fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the images of every label that are not held out, drawn by the recipe's seed. 0: none."""


class DatasetConfig(Config):
    """Where the images come from, what labels them, and which are held out."""

    later: ClassVar[tuple[str, ...]] = ("labels", "framing")
    source: OneOf[Source]
    label: str | None = None
    """Metadata column that holds the label; null for a dataset without labels."""
    labels: LabelsConfig | None = None
    """In the place of `label`, where an image may show several findings, or none: {columns: [effusion, mass]}, or
    {column: findings, separator: "|"}. All findings of an image together are its label: `effusion and mass`."""
    group: str | None = None
    """Metadata column, a slide or a patient say, whose images stay on one side of the held-out split."""
    columns: Columns = ()
    """Further metadata columns that captions ({age}) and balancing (by: [sex, cluster]) use. Every column is kept;
    those named here are checked when the dataset is read, not hours later. [sex, {age: 10}] cuts numbers into steps of
    a width: 61 becomes `60 to 69`."""
    truth: str | None = None
    """Metadata column of what is known to show in the images, such as a stain's density or a grade: captions of the
    positive control name it ({truth}). Numbers are cut into ten steps of equal count, other values stay as they are."""
    exclude: LocalPath | None = None
    """Text file with the id of an image a line that is left out; `mep lint --fix` writes one."""
    near_duplicate_bits: int | None = Field(4, ge=0, le=16)
    """Images whose perceptual hashes differ in at most so many of 64 bits stay on one side of a drawn split. Null: they
    may be torn apart."""
    window: tuple[float, ...] | None = Field(None, min_length=2, max_length=2)
    """Black and white of grey with more than 8 bits. Default: from 0 to the smallest bit depth that holds every value
    of the dataset, so that nothing is clipped; a narrower window clips what lies outside."""
    framing: OneOf[Framing] = Crop(kind="crop")
    """Which square of an image is seen, by embedder, model and metrics alike. Default: the largest one in its
    centre."""
    holdout: HoldoutConfig = HoldoutConfig()
    """The part that only metrics may see."""
    validation: ValidationConfig = ValidationConfig()
    """The part on which training is watched and guidance is chosen."""

    @property
    def steps(self) -> dict[str, float]:
        """Width of the steps of each column of numbers that is cut into steps."""
        return widths_of(self.columns)

    @property
    def column_names(self) -> list[str]:
        return names_of(self.columns)

    @model_validator(mode="after")
    def _one_way_to_label(self) -> Self:
        if self.label is not None and self.labels is not None:
            raise ValueError("name label (one an image) or labels (several), not both")
        return self

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window is not None:
            object.__setattr__(self, "source", self.source.windowed())  # frozen, but for whoever builds it
        return self

    @property
    def is_labelled(self) -> bool:
        return self.label is not None or self.labels is not None

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {} if self.exclude is None else {"exclude": hash_file(self.exclude)}

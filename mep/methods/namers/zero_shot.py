"""Names from a list of terms, by a model that knows images and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from mep.config import HashFile, LocalPath
from mep.errors import DataError, EnvironmentLacks
from mep.imaging.joint import JOINT_FILES, JointEncoder, load_joint, parts_lacking
from mep.machine.files import reading_utf8
from mep.machine.hub import ModelReference
from mep.methods.namers import Namer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images
    from mep.artifacts.captions import FoundName
    from mep.machine.work import Work

FIELD = "prompts.cluster_names"
SLOT = "{term}"


class JointModel(ModelReference):
    """A model of images and texts: CLIP, PLIP, SigLIP, or another that the transformers library loads."""

    def require(self) -> None:
        """EnvironmentLacks where the model cannot be had, or is none that the transformers library loads."""
        super().require()
        lacks = parts_lacking(self.files_here)
        if lacks and self.path is None:  # another stage may have fetched its half
            lacks = parts_lacking(self.files_there())
        if lacks:
            raise EnvironmentLacks(
                f"{self.path or self.id} is no CLIP of the transformers library: it lacks {lacks}",
                hint="models of open_clip have to be converted first; pickles are not read",
            )


class ZeroShot(Namer):
    """The term of a list that is nearest to the images of a cluster, by a CLIP (Radford et al. 2021).

    The nearness of a term and a cluster is the mean cosine over images of the cluster. A term names one cluster: where
    it is the nearest of two, the one that is nearer to it has it, and the other has its next one that is free. Its
    margin, to the nearest other term, is then negative. Terms that name a cluster by hand are not free.
    """

    kind: Literal["zero_shot"]
    model: JointModel
    """The model, by hub id or folder, as the transformers library saves it."""
    terms: LocalPath
    """Text file with a term a line, such as `dense lymphocytes`; empty lines and those after # do not count."""
    phrases: tuple[Annotated[str, Field(max_length=1000)], ...] = Field((SLOT,), min_length=1, max_length=100)
    """What the model reads in the place of a term, such as "a histology image of {term}"; of several, the mean."""
    images: int = Field(64, ge=1, le=1_000_000)
    """Images of each cluster that are looked at, drawn by lot; all where it has fewer."""

    @field_validator("phrases")
    @classmethod
    def _name_the_term(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if any(SLOT not in phrase for phrase in phrases):
            raise ValueError(f"a phrase has to hold {SLOT}")
        return phrases

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {"terms": hash_file(self.terms)}

    def require(self) -> None:
        """DataError where the file holds no terms to choose from: told before anything runs."""
        self.read_terms()

    def read_terms(self) -> list[str]:
        """The terms in their order; DataError where there are fewer than two, or one twice."""
        with reading_utf8(self.terms, f"{FIELD}.terms"):
            lines = [line.strip() for line in self.terms.read_text(encoding="utf-8-sig").splitlines()]
        terms = [line for line in lines if line and not line.startswith("#")]
        folded = [term.casefold() for term in terms]
        twice = sorted({term for term in terms if folded.count(term.casefold()) > 1})
        if len(terms) < 2 or twice:
            problem = f"has '{twice[0]}' twice" if twice else f"holds {len(terms)} terms, two are the least"
            raise DataError(f"{self.terms} {problem}", hint="a term a line, each once", field=f"{FIELD}.terms")
        return terms

    def find(self, images: Images, members: Mapping[int, Sequence[str]], work: Work) -> list[FoundName]:
        clusters, terms = sorted(members.keys() - self.names.keys()), self.read_terms()
        taken = {name.casefold() for name in self.names.values()}
        free = np.array([term.casefold() not in taken for term in terms])
        if free.sum() < len(clusters):
            raise DataError(
                f"{len(clusters)} clusters are to be named by {int(free.sum())} terms of {self.terms}",
                hint="add terms, or name clusters by hand",
                field=f"{FIELD}.terms",
            )
        if not clusters:
            return []
        encoder = load_joint(self.model.folder(JOINT_FILES), work.device)
        written = self._embed(terms, encoder)
        nearness = []
        for done, cluster in enumerate(clusters):
            work.stop_if_asked()
            work.progress.update(done, len(clusters), "naming clusters")
            nearness.append(_seen(images, self._drawn(cluster, members, work), encoder, work) @ written.T)
        return names_of(clusters, terms, nearness, free)

    def _embed(self, terms: Sequence[str], encoder: JointEncoder) -> NDArray[np.float32]:
        """float32 (t, d), the mean of a term's phrases, of length 1 again."""
        try:
            phrased = [encoder.texts([phrase.replace(SLOT, term) for term in terms]) for phrase in self.phrases]
        except DataError as error:
            raise DataError(error.message, hint=error.hint, field=f"{FIELD}.terms") from error
        means = np.mean(phrased, axis=0)
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)

    def _drawn(self, cluster: int, members: Mapping[int, Sequence[str]], work: Work) -> list[str]:
        ids = sorted(members[cluster])
        chosen = work.rng("name", cluster).permutation(len(ids))[: self.images]
        return [ids[place] for place in np.sort(chosen).tolist()]


def _seen(images: Images, ids: Sequence[str], encoder: JointEncoder, work: Work) -> NDArray[np.float32]:
    rows, size = images.rows(list(ids)).tolist(), work.machine.batch_size
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    return np.concatenate([encoder.images([images.read(row) for row in batch]) for batch in batches])


def names_of(
    clusters: Sequence[int], terms: Sequence[str], nearness: Sequence[NDArray[np.floating]], free: NDArray[np.bool_]
) -> list[FoundName]:
    """The name of each cluster, with how sure it is.

    nearness    for each cluster float (images, t), the cosine of an image and a term
    free        bool (t,), terms that may be given; as many as clusters, or more
    """
    means = np.array([near.mean(0, dtype=np.float64) for near in nearness])
    given = assigned(np.where(free, means, -np.inf))
    found: list[FoundName] = []
    for cluster, near, mean, term in zip(clusters, nearness, means, given.tolist(), strict=True):
        others = mean.copy()
        others[term] = -np.inf
        second = int(others.argmax())
        gaps = near[:, term].astype(np.float64) - near[:, second]
        found.append(
            {
                "cluster": cluster,
                "name": terms[term],
                "margin": float(gaps.mean()),
                "se": float(gaps.std(ddof=1) / len(gaps) ** 0.5) if len(gaps) > 1 else None,
                "next": terms[second],
                "share": float((near.argmax(1) == term).mean()),
                "images": len(near),
            }
        )
    return found


def assigned(means: NDArray[np.floating]) -> NDArray[np.int64]:
    """int64 (k,) the term of each cluster: of all pairs that are left, the nearest come together first.

    means   float (k, t), t >= k; no cluster and term are nearer to each other than to what they have
    """
    given = np.full(len(means), -1, dtype=np.int64)
    left = means.copy()
    for _ in range(len(means)):
        cluster, term = np.unravel_index(left.argmax(), left.shape)
        given[cluster] = term
        left[cluster], left[:, term] = -np.inf, -np.inf
    return given

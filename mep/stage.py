"""The contract between a stage and the runner.

A stage is a typed function: the first parameter is its config, the others are the artifacts that it reads, the
return type is the artifact that it writes.

    @stage(version=1, draws=True)
    def clustering(config: ClusteringConfig, embeddings: Embeddings, inliers: Inliers, *, work: Work) -> Clusters: ...

The order of the pipeline is read off those types: every artifact type has exactly one stage that returns it.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from mep.artifacts import Artifact
from mep.config import Config


@dataclass(frozen=True)
class Stage:
    """What the runner knows about a stage, read off its function."""

    name: str
    version: int
    section: str
    draws: bool
    repeats: bool
    parallel: bool
    extendable_fields: tuple[str, ...]
    config: type[Config]
    inputs: dict[str, type[Artifact]]
    output: type[Artifact]
    function: Callable[..., Artifact]
    summary: str

    def view(self, experiment: Config) -> Config:
        """The fields of an experiment that this stage reads, and no others."""
        section = getattr(experiment, self.section)
        if type(section) is self.config:
            return section
        places = {name: f"{self.section}.{name}" for name in self.config.model_fields} | self.config.elsewhere
        return self.config.model_construct(**{name: attrgetter(path)(experiment) for name, path in places.items()})


def stage(
    *,
    version: int,
    section: str = "",
    draws: bool = False,
    repeats: bool = False,
    parallel: bool = False,
    extendable_fields: tuple[str, ...] = (),
) -> Callable[[Callable[..., Artifact]], Stage]:
    """Make a stage of a typed function.

    version   raise by one when the same config should now give another result
    section   recipe section that holds its config, where it is not named like the function
    draws     whether it uses `work.seed`; only then does the recipe's seed enter the fingerprint
    repeats   whether it is done again, from another seed, for every repeat that `seeds:` asks for
    parallel  whether it can run in several processes at once under `accelerate launch`
    extendable_fields   that only say which items there are: results that differ in nothing else are `work.earlier`
    """

    def decorate(function: Callable[..., Artifact]) -> Stage:
        hints = typing.get_type_hints(function)
        names = [name for name in inspect.signature(function).parameters if name not in ("config", "work")]
        return Stage(
            name=function.__name__,
            version=version,
            section=section or function.__name__,
            draws=draws,
            repeats=repeats,
            parallel=parallel,
            extendable_fields=extendable_fields,
            config=hints["config"],
            inputs={name: hints[name] for name in names},
            output=hints["return"],
            function=function,
            summary=(inspect.getdoc(function) or "").split("\n")[0],
        )

    return decorate

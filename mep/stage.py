"""The contract between a stage and the runner.

A stage is a typed function: the first parameter is its config, the others are the artifacts that it reads, the
return type is the artifact that it writes.

    @stage(version=1, draws=True)
    def clustering(config: ClusteringConfig, embeddings: Embeddings, inliers: Inliers, *, work: Work) -> Clusters: ...

The order of the pipeline is read off those types: every artifact type has exactly one stage that returns it. A
parameter of type `Embeddings | None` is read only under configs that name it in `also_reads`.
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
    optional: frozenset[str]
    output: type[Artifact]
    function: Callable[..., Artifact]
    summary: str

    def reads(self, config: Config) -> dict[str, type[Artifact]]:
        """Its inputs under a config: those that may be None only where the config asks for them."""
        return {
            name: kind for name, kind in self.inputs.items() if name not in self.optional or name in config.also_reads
        }

    def view(self, experiment: Config) -> Config:
        """The fields of an experiment that this stage reads, and no others."""
        section: Config = getattr(experiment, self.section)
        if type(section) is self.config:
            return section.in_use()
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
        kinds = {name: [kind for kind in typing.get_args(hints[name]) if kind is not type(None)] for name in names}
        return Stage(
            name=function.__name__,
            version=version,
            section=section or function.__name__,
            draws=draws,
            repeats=repeats,
            parallel=parallel,
            extendable_fields=extendable_fields,
            config=hints["config"],
            inputs={name: kinds[name][0] if kinds[name] else hints[name] for name in names},
            optional=frozenset(name for name in names if kinds[name]),
            output=hints["return"],
            function=function,
            summary=(inspect.getdoc(function) or "").split("\n")[0],
        )

    return decorate

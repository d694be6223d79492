"""A run as entities of a Workflow Run RO-Crate: the recipe, the stages, what each of them did, and on what.

Source      Provenance Run Crate 0.5, https://w3id.org/ro/wfrun/provenance/0.5; RO-Crate 1.1
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import mep
from mep.report.data.stages import StageReport
from mep.sharing.finished import Finished
from mep.stages import made_elsewhere, stages

Entity: TypeAlias = dict[str, Any]

WFRUN = "https://w3id.org/ro/wfrun"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {f"{WFRUN}/{kind}/0.5": f"{kind.capitalize()} Run Crate" for kind in ("process", "workflow", "provenance")}
PROFILES |= {WORKFLOW_CRATE: "Workflow RO-Crate"}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
PROJECT = "https://pypi.org/project/mep/"
WORKFLOW, LANGUAGE, ENGINE = "recipe.lock.yaml", "#mep-recipe", f"{PROJECT}{mep.__version__}/"
COMPLETED = "http://schema.org/CompletedActionStatus"


def ref(*ids: str) -> Any:
    """One reference, or a list of them."""
    return {"@id": ids[0]} if len(ids) == 1 else [{"@id": one} for one in ids]


def file_of(artifact_id: str) -> str:
    """Where the crate says what an artifact is."""
    return f"artifacts/{artifact_id}.json"


def moment(text: str) -> str:
    """A time of the database as crates write it."""
    return datetime.fromisoformat(text).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Making:
    """How an artifact came about: its stage, its inputs by role, and the last attempt, in the crate's times."""

    report: StageReport
    inputs: Mapping[str, str]

    @property
    def action(self) -> str:
        return f"#make-{self.report.artifact_id.replace('/', '-')}"

    @property
    def times(self) -> tuple[str, str] | None:
        """Begin and end; None where the run that made it is gone."""
        done = [row for row in self.report.attempts if row["state"] == "done"]
        if not done:
            return None
        began = datetime.fromisoformat(done[-1]["started_at"])
        ended = began + timedelta(seconds=done[-1]["wall_s"] or 0)
        return moment(began.isoformat()), moment(ended.isoformat())


@dataclass(frozen=True)
class Graph:
    """The entities of a run.

    results     files that say what the run came to
    more        artifact id -> folder of the crate that holds what is in it
    agent       who answers for it; empty where nobody is named
    """

    shared: Finished
    makings: Sequence[Making]
    results: Sequence[str]
    more: Mapping[str, Sequence[str]]
    agent: str = ""

    def entities(self) -> Iterator[Entity]:
        """All but the root, the descriptor and the files."""
        yield from self._software()
        yield self._workflow()
        for position, stage in enumerate(self._stages(), start=1):
            yield from self._stage(stage, position)
        for name, artifact_ids in self._parameters().items():
            yield self._parameter(name, artifact_ids)
        yield self._run()
        for making in self.makings:
            yield self._making(making)
            control = {"@id": f"#control{making.action[1:]}", "@type": "ControlAction", "actionStatus": COMPLETED}
            yield control | {
                "name": f"Run the stage {making.report.stage}",
                "instrument": ref(f"#step-{making.report.stage}"),
                "object": ref(making.action),
            }
        yield self._organization()

    @property
    def actions(self) -> list[str]:
        return ["#run", *(making.action for making in self.makings), "#orchestration"]

    def examples_of(self, artifact_id: str) -> list[str]:
        """The parameters that an artifact was given for."""
        return [f"#{name}" for name, artifact_ids in self._parameters().items() if artifact_id in artifact_ids]

    def _stages(self) -> list[str]:
        return list(dict.fromkeys(making.report.stage for making in self.makings))

    def _parameters(self) -> dict[str, list[str]]:
        """`clustering/embeddings` and `clustering/output` -> the artifacts that stood there."""
        found: dict[str, list[str]] = {}
        for making in self.makings:
            stage = making.report.stage
            for role, artifact_id in [*making.inputs.items(), ("output", making.report.artifact_id)]:
                found.setdefault(f"{stage}/{role}", []).append(artifact_id)
        return {name: list(dict.fromkeys(ids)) for name, ids in found.items()}

    def _software(self) -> Iterator[Entity]:
        packages = self.shared.locked.get("packages", {})
        needs = {f"https://pypi.org/project/{name}/{version}/": (name, version) for name, version in packages.items()}
        engine: Entity = {"@id": ENGINE, "@type": "SoftwareApplication", "name": "mep", "url": PROJECT}
        yield engine | {"softwareVersion": mep.__version__, "softwareRequirements": ref(*needs) if needs else []}
        for place, (name, version) in needs.items():
            software = {"@id": place, "@type": "SoftwareApplication", "name": name, "url": place}
            yield software | {"softwareVersion": str(version)}
        language = {"@id": LANGUAGE, "@type": "ComputerLanguage", "name": "mep recipe", "url": PROJECT}
        yield language | {"version": "2", "identifier": PROJECT}

    def _workflow(self) -> Entity:
        names, parameters = self._stages(), self._parameters()
        inputs = [f"#{name}" for name in parameters if not name.endswith("/output")]
        return {
            "@id": WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "url": PROJECT,
            "name": f"{self.shared.run.recipe.name}: a recipe of mep with every value filled in",
            "description": self.shared.run.recipe.description or "Do synthetic medical images help?",
            "encodingFormat": "application/yaml",
            "conformsTo": ref(BIOSCHEMAS),
            "programmingLanguage": ref(LANGUAGE),
            "version": self.shared.run.provenance["recipe_sha256"][:12] or "1",
            "hasPart": ref(*map(tool_of, names)),
            "step": ref(*(f"#step-{name}" for name in names)),
            "input": ref(*inputs) if inputs else [],
            "output": ref(*(f"#{name}" for name in parameters if name.endswith("/output"))),
        }

    def _stage(self, name: str, position: int) -> Iterator[Entity]:
        stage, own = stages().get(name), [text for text in self._parameters() if text.startswith(f"{name}/")]
        taken = [one for several in made_elsewhere().values() for one in several if one.name == name]
        summary = (stage or taken[0]).summary
        inputs = [f"#{text}" for text in own if not text.endswith("/output")]
        tool: Entity = {"@id": tool_of(name), "@type": "SoftwareApplication", "name": f"mep: {name}", "url": PROJECT}
        tool |= {"description": summary, "softwareVersion": mep.__version__, "output": ref(f"#{name}/output")}
        yield tool | ({"input": ref(*inputs)} if inputs else {})
        step = {"@id": f"#step-{name}", "@type": "HowToStep", "name": name, "position": str(position)}
        yield step | {"workExample": ref(tool_of(name))}

    def _parameter(self, name: str, artifact_ids: Sequence[str]) -> Entity:
        entity = {"@id": f"#{name}", "@type": "FormalParameter", "name": name, "additionalType": "File"}
        return entity | {"workExample": ref(*map(file_of, artifact_ids))}

    def _making(self, making: Making) -> Entity:
        report = making.report
        arms = ", ".join(report.arms)
        action: Entity = {"@id": making.action, "@type": "CreateAction", "actionStatus": COMPLETED}
        action |= {"name": f"{report.stage} of {arms}", "instrument": ref(tool_of(report.stage))}
        facts = ", ".join(f"{name}: {value}" for name, value in report.facts.items())
        reused = f" It was made by run {report.made_by}." if report.state == "reused" else ""
        action |= {"description": f"{facts or report.stage}.{reused}"}
        action |= {"object": ref(WORKFLOW, *map(file_of, making.inputs.values()))}
        action |= {"result": ref(file_of(report.artifact_id), *self.more.get(report.artifact_id, ()))}
        if making.times:
            action |= {"startTime": making.times[0], "endTime": making.times[1]}
        return action | self._by()

    def _run(self) -> Entity:
        run = self.shared.run.provenance
        action: Entity = {"@id": "#run", "@type": "CreateAction", "name": f"Run {run['run_id']}"}
        action |= {"description": " ".join(self.shared.sentences), "actionStatus": COMPLETED}
        action |= {"startTime": moment(run["started_at"]), "endTime": moment(run["ended_at"])}
        return action | {"instrument": ref(WORKFLOW), "result": ref(*self.results)} | self._by()

    def _organization(self) -> Entity:
        controls = [f"#control{making.action[1:]}" for making in self.makings]
        action: Entity = {"@id": "#orchestration", "@type": "OrganizeAction", "actionStatus": COMPLETED}
        action |= {"name": f"mep {mep.__version__} carries out the recipe", "instrument": ref(ENGINE)}
        return action | {"object": ref(*controls), "result": ref("#run")}

    def _by(self) -> Entity:
        return {"agent": ref("#publisher")} if self.agent else {}


def tool_of(stage: str) -> str:
    return f"{ENGINE}#{stage}"

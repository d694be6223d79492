"""What others take away of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mep.cli.commands._shared import FOLDER, JSON, RUN, open_run
from mep.cli.console import show, show_json, size, tell
from mep.cli.options import collected, option
from mep.errors import UsageError

if TYPE_CHECKING:
    from mep.sharing.finished import Finished
    from mep.sharing.hub import Hub, Target
    from mep.sharing.publication import Wish

LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


@dataclass(frozen=True)
class Publishing:
    arm: str | None = option("Default: the arm that the verdict speaks of.", metavar="ARM")
    only: str | None = option("One of both.", type=click.Choice(("model", "dataset")))
    output: Path | None = option("Folder to write. Default: RUN-published here.", type=FOLDER)
    to: str | None = option(
        "Also push: hf://ORG/NAME, or hf://datasets/ORG/NAME. The token is read from HF_TOKEN.", metavar="URL"
    )
    public: bool = option("New repositories are public; without it, private.")
    update: bool = option("Replace what the repositories hold.")
    license_id: str = option("Licence, such as cc-by-4.0. A base keeps its own.", "--license", default="", metavar="ID")
    publisher: str = option("Institution or person who answers for it.", default="", metavar="NAME")
    captions: str = option(
        "Captions with words from the dataset: those that enough patients share, all, or none.",
        type=click.Choice(("common", "all", "none")),
        default="common",
    )
    with_near_copies: bool = option("Also images that lie nearer to a training image than held-out ones do.")


@click.command("publish")
@RUN
@collected(Publishing)
@JSON
@click.pass_obj
def publish_command(runs: Path, asked: Publishing, run_id: str | None, as_json: bool) -> None:
    """Write the model and the synthetic images of a run for others, and push them to the Hugging Face hub.

    A model that diffusers loads, a dataset that datasets streams, each with a card, the lock and the verdict.

    Real images, their names and their table stay here. Images that come too near to a real one are left out.
    """
    from mep.sharing.finished import finished
    from mep.sharing.publication import publish

    target = _target(asked)
    store, run_id = open_run(runs, run_id)
    shared = finished(store, run_id, asked.arm)
    wish = _wish(shared, asked, target)
    folder = asked.output or Path(f"{run_id}-published")
    hub = _hub(wish, asked.update)
    done: dict[str, Any] = publish(shared, wish, folder) | {"folder": str(folder), "pushed": []}
    tell(f"arm {shared.arm.name}: {done['images']} images. {done['copies']}")
    if n := done["silent_captions"]:
        tell(f"{n} caption{'s stay' if n > 1 else ' stays'} here, with words that few patients share; see --captions")
    if hub:
        message = f"Run {run_id} of mep, arm {shared.arm.name}"
        done["pushed"] = [
            hub.push(folder / kind, wish.repository, kind, message, public=asked.public) for kind in wish.kinds
        ]
    if as_json:
        show_json(done)
        return
    for name, n_bytes in done["files"].items():
        tell(f"{size(n_bytes):>9}  {name}")
    tell("before you pass it on: read both cards, look at samples.png, and ask who answers for the patients")
    for place in done["pushed"] or [str(folder)]:
        show(place)


def _target(asked: Publishing) -> Target | None:
    """Where to push; UsageError: what was asked for contradicts itself."""
    from mep.sharing.hub import Target

    if asked.license_id and not LICENCE.fullmatch(asked.license_id):
        raise UsageError(f"'{asked.license_id}' is no licence", hint="an identifier, such as cc-by-4.0 or apache-2.0")
    target = Target.of(asked.to) if asked.to else None
    if target and target.only and asked.only not in (None, target.only):
        raise UsageError(f"{asked.to} is for a {target.only}, --only {asked.only} for something else", hint="name one")
    return target


def _wish(shared: Finished, asked: Publishing, target: Target | None) -> Wish:
    from mep.sharing.publication import Wish, kinds_of, require_model, why_model_stays

    kinds = kinds_of(shared, (target.only if target else None) or asked.only)
    if "model" in kinds:
        require_model(shared)
    elif why := why_model_stays(shared):
        tell(f"{why}: it stays here")
    repository = target.repository if target else ""
    return Wish(
        kinds,
        repository,
        license_id=asked.license_id,
        publisher=asked.publisher,
        captions=asked.captions,  # type: ignore[arg-type]  # click takes one of these words alone
        with_near=asked.with_near_copies,
    )


def _hub(wish: Wish, update: bool) -> Hub | None:
    """The hub, after it has been asked whether it will take what is pushed; None where nothing is."""
    if not wish.repository:
        return None
    from mep.sharing.hub import Hub

    hub = Hub.from_environment()
    hub.check(wish.repository, wish.kinds, update=update)
    return hub

"""Options of a command that arrive as one object."""

from dataclasses import dataclass
from pathlib import Path

import click
from click.testing import CliRunner

from mep.cli.options import collected, option


@dataclass(frozen=True)
class Drawing:
    n: int = option("Images of each prompt.", "-n", type=click.IntRange(1), default=4)
    arms: tuple[str, ...] = option("Only this arm.", "--arm")
    folder: Path | None = option("Where to.")
    keep_all: bool = option("Whether all are kept.")


@click.command()
@click.argument("run")
@collected(Drawing)
@click.option("--json", "as_json", is_flag=True)
def draw(drawing: Drawing, run: str, as_json: bool) -> None:
    """Draw images."""
    click.echo(repr((drawing, run, as_json)))


def test_what_was_typed_arrives_as_one_object_beside_the_other_parameters():
    done = CliRunner().invoke(draw, ["last", "--arm", "a", "--arm", "b", "--folder", "x", "--keep-all", "--json"])
    assert done.output.strip() == repr((Drawing(4, ("a", "b"), Path("x"), True), "last", True))


def test_help_lists_the_fields_in_their_order_under_the_words_of_the_command():
    shown = CliRunner().invoke(draw, ["--help"]).output
    assert "Draw images." in shown
    assert "[default: 4;" in shown
    assert shown.index("-n INTEGER") < shown.index("--arm") < shown.index("--folder PATH") < shown.index("--json")

"""`python -m mep` is `mep`."""

from mep.cli.main import main

main(prog_name="mep")

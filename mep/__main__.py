"""`python -m mep` is `mep`."""

from mep.cli import main

main(prog_name="mep")

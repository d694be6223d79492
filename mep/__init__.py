"""mep: one YAML recipe is one finished experiment on synthetic medical images."""

__version__ = "0.1.0"

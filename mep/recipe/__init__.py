"""Recipes: one YAML file -> the experiments that it describes."""

from mep.recipe.load import Recipe, load_recipe
from mep.recipe.writer import lock_text

__all__ = ["Recipe", "load_recipe", "lock_text"]

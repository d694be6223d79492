"""`${vars.name}` in a recipe: the value of a variable in place of text, and nothing else."""

import re
from dataclasses import replace

from mep.recipe.node import Node
from mep.recipe.text import MistakeLog, RecipeText
from mep.recipe.wording import dotted, find_near, show, spell

SLOT = re.compile(r"\$\{([^{}]*)\}")
MAX_CHARACTERS = 10_000
"""Characters that a text may have once its variables are filled in."""


class Variables(MistakeLog):
    """The variables of a recipe; others than scalars are left to validation."""

    def __init__(self, recipe: Node, source: RecipeText):
        super().__init__(source)
        written = recipe.child("vars") or Node(None, recipe.place)
        self.values = {
            f"vars.{name}": node.value
            for name, node in written.entries.items()
            if isinstance(node.value, str | bool | int | float)
        }
        for path, node in written.walk():
            if isinstance(node.value, str) and "${" in node.value:
                self.note("a variable cannot hold another", node.place, field=dotted(("vars", *path)))

    def fill(self, layer: Node) -> Node:
        """A layer without slots, but for `vars` itself; a text that is one slot takes the value with its type."""
        filled = {key: node if key == "vars" else node.map(self._filled) for key, node in layer.entries.items()}
        return replace(layer, value=filled)

    def _filled(self, node: Node) -> Node:
        text = node.value
        if not isinstance(text, str) or "${" not in text:
            return node
        for slot in SLOT.findall(text):
            if slot not in self.values:
                hint = "only ${vars.name} is filled in, from vars: of the recipe"
                if self.values and slot.startswith("vars."):
                    hint = find_near(slot, list(self.values))
                self.note(f"{show('${' + slot + '}')} stands for nothing", node.place, hint=hint)
                return node
        if whole := SLOT.fullmatch(text):
            return replace(node, value=self.values[whole[1]])
        text = SLOT.sub(lambda slot: spell(self.values[slot[1]]), text)
        if len(text) > MAX_CHARACTERS:
            self.note(f"is longer than {MAX_CHARACTERS:,} characters once filled in", node.place)
            return node
        return replace(node, value=text)

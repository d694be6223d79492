"""`${vars.name}` in a recipe: the value of a variable in place of text, and nothing else."""

import re
from dataclasses import replace

from mep.errors import Mistake
from mep.recipe.node import Node
from mep.recipe.text import RecipeText
from mep.recipe.wording import dotted, find_near, show

SLOT = re.compile(r"\$\{([^{}]*)\}")
MAX_CHARACTERS = 10_000
"""Characters that a text may have once its variables are filled in."""


class Variables:
    """The variables of a recipe; others than scalars are left to validation.

    values      `vars.name` -> its value
    mistakes    what could not be filled in
    """

    def __init__(self, recipe: Node, source: RecipeText):
        self.source = source
        self.mistakes: list[Mistake] = []
        self.written = recipe.child("vars") or Node(None, recipe.place)
        self.values = {
            f"vars.{name}": node.value
            for name, node in self.written.entries.items()
            if isinstance(node.value, str | bool | int | float)
        }
        for path, node in self.written.walk():
            if isinstance(node.value, str) and "${" in node.value:
                field = dotted(("vars", *path))
                self.mistakes.append(source.mistake("a variable cannot hold another", node.place, field=field))

    def fill(self, layer: Node) -> Node:
        """A layer with every variable filled in, but for `vars` itself.

        A text that is one slot takes the value with its type; inside other text the value is written out.
        """
        filled = {key: node if key == "vars" else node.map(self._filled) for key, node in layer.entries.items()}
        return replace(layer, value=filled)

    def _filled(self, node: Node) -> Node:
        text = node.value
        if not isinstance(text, str) or "${" not in text:
            return node
        for slot in SLOT.findall(text):
            if slot not in self.values:
                self._note(node, f"{show('${' + slot + '}')} stands for nothing", self._candidates(slot))
                return node
        if whole := SLOT.fullmatch(text):
            return replace(node, value=self.values[whole[1]])
        text = SLOT.sub(lambda slot: _as_text(self.values[slot[1]]), text)
        if len(text) > MAX_CHARACTERS:
            self._note(node, f"is longer than {MAX_CHARACTERS:,} characters once filled in")
            return node
        return replace(node, value=text)

    def _candidates(self, slot: str) -> str:
        """The hint for a slot that is no variable."""
        if self.values and slot.startswith("vars."):
            return find_near(slot, list(self.values))
        return "only ${vars.name} is filled in, from vars: of the recipe"

    def _note(self, node: Node, message: str, hint: str = "") -> None:
        self.mistakes.append(self.source.mistake(message, node.place, hint=hint))


def _as_text(value: str | bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

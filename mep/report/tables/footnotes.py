"""Footnotes on numbers that were not made like those they stand beside."""

from mep.report.text import listed, plain


class Footnotes:
    """Letters for the ways in which numbers were not made like those they stand beside."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, str], str] = {}
        self.labels: dict[str, dict[str, None]] = {}

    def mark(self, label: str, measure: str, how: dict[str, str]) -> str:
        if not how:
            return ""
        told = "; ".join(f"{words}: {values}" for words, values in how.items())
        letter = self.letters.setdefault((measure, told), _letter(len(self.letters)))
        self.labels.setdefault(letter, {})[label] = None
        return letter

    def texts(self) -> dict[str, str]:
        return {
            letter: f"{_some(list(self.labels[letter]))}: not made like {measure}, and not compared with it ({told})."
            for (measure, told), letter in self.letters.items()
        }


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _some(labels: list[str], most: int = 6) -> str:
    shown = [plain(label) for label in labels[:most]]
    return listed(shown) if len(labels) <= most else f"{', '.join(shown)} and {len(labels) - most} more"

"""Footnotes on numbers that were not made like those they stand beside."""

from mep.report.text import listed, plain


class Footnotes:
    """Gives a letter to every way in which numbers were made otherwise."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, str], str] = {}
        self.labels: dict[str, dict[str, None]] = {}

    def mark(self, label: str, standard: str, deviations: dict[str, str]) -> str:
        """The letter of what differs from the number of the row `standard`; empty where nothing does."""
        if not deviations:
            return ""
        description = "; ".join(f"{words}: {values}" for words, values in deviations.items())
        letter = self.letters.setdefault((standard, description), _letter(len(self.letters)))
        self.labels.setdefault(letter, {})[label] = None
        return letter

    def texts(self) -> dict[str, str]:
        """Letter -> its footnote."""
        return {
            letter: f"{_first_few(list(self.labels[letter]))}: not made like {standard}, and not compared with it "
            f"({description})."
            for (standard, description), letter in self.letters.items()
        }


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _first_few(labels: list[str], most: int = 6) -> str:
    shown = [plain(label) for label in labels[:most]]
    return listed(shown) if len(labels) <= most else f"{', '.join(shown)} and {len(labels) - most} more"

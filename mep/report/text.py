"""Numbers and names as a reader wants them: rounded to what is certain, and never taken for markup."""

import math
import re
import unicodedata
from collections.abc import Mapping

from mep.config import canonical_json
from mep.evaluation.differences import Difference

MINUS = "\u2212"
"""The sign that is as wide as a digit, so that columns align."""
DIGITS, DIGITS_WITHOUT_ERROR = 2, 3
"""Digits of an uncertainty, and of a value without one; a value ends where its uncertainty does."""
LONGEST = 60
"""Characters of a recipe value or a name in a table."""
MARKDOWN = re.compile(r"([\\`*\[\]<>|~&#$]|(?<!\w)_|_(?!\w))")
"""What Markdown could take for markup; an underscore inside a word never is."""


def rounded(value: float, error: float | None = None, *, signed: bool = False, precision: int | None = None) -> str:
    """A value to the last digit that its uncertainty leaves: 31.24 with an error of 3.5 is 31.2.

    precision   significant digits of the value, whatever its uncertainty
    """
    # what is smaller than the rounding of floats is no uncertainty
    is_known = error is not None and error > 1e-12 * abs(value)
    guide, digits = (error, DIGITS) if is_known else (abs(value), DIGITS_WITHOUT_ERROR)
    if precision is not None:
        guide, digits = abs(value), precision
    return _fixed(value, _decimals(guide, digits), signed)


def rounded_error(error: float, value: float = 0, precision: int | None = None) -> str:
    """A standard error with two digits, or to the last digit of a value with a precision."""
    guide, digits = (error, DIGITS) if precision is None or not value else (abs(value), precision)
    return _fixed(error, _decimals(guide, digits), False)


def value_and_error(
    value: float, error: float | None, scale: float = 1, precision: int | None = None
) -> tuple[str, str]:
    """Both rounded; the second empty without an error."""
    value *= scale
    if error is None:
        return rounded(value, precision=precision), ""
    return rounded(value, error * scale, precision=precision), rounded_error(error * scale, value, precision)


def p_text(p: float) -> str:
    """p = 0.036, p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def difference_text(delta: Difference, scale: float = 1) -> str:
    return rounded(delta.value * scale, delta.se * scale, signed=True)


def interval_text(delta: Difference, scale: float = 1) -> str:
    """Both ends of the interval, to the same digit as the difference."""
    return " to ".join(_ends(delta, scale))


def bracketed(delta: Difference, scale: float = 1) -> str:
    """The interval as a table shows it: [−0.70, +1.34]."""
    return f"[{', '.join(_ends(delta, scale))}]"


def _ends(delta: Difference, scale: float) -> list[str]:
    """More digits where an end would read 0 though the interval leaves zero out."""
    for more in range(4):
        error = delta.se * scale / 10**more
        texts = [rounded(end * scale, error, signed=True) for end in (delta.low, delta.high)]
        if delta.low <= 0 <= delta.high or all(text.strip("+0." + MINUS) for text in texts):
            break
    return texts


def _decimals(guide: float | None, digits: int) -> int:
    if not guide or not math.isfinite(guide):
        return 0
    leading = math.floor(math.log10(abs(guide)))
    # 0.0996 has its first digit in the hundredths, but rounds to 0.10
    if round(abs(guide), digits - 1 - leading) >= 10 ** (leading + 1):
        leading += 1
    return digits - 1 - leading


def _fixed(value: float, decimals: int, signed: bool) -> str:
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", MINUS) if value < 0 else f"+{text}" if signed else text


def plain(value: object) -> str:
    """A value as one line of text: control characters, and those that turn the writing direction, are spelled out."""
    text = value if isinstance(value, str) else "–" if value is None else canonical_json(value)
    return text if text.isascii() and text.isprintable() else "".join(map(_spelled_out, text))


def _spelled_out(character: str) -> str:
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    if not turns and unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"):
        return character
    return " " if character in "\n\t\r" else f"\\u{ord(character):04x}"


def clipped(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def shortened(values: Mapping[str, object], longest: int = LONGEST) -> dict[str, str]:
    """Values of one field in several arms, short enough for a table: a long beginning that they share is left out."""
    texts = {arm: "null" if value is None else plain(value) for arm, value in values.items()}
    if max(map(len, texts.values())) > longest and len(set(texts.values())) > 1:
        shared = _shared_words(list(texts.values()))
        texts = {arm: f"…{text[shared:]}" if shared else text for arm, text in texts.items()}
    return {arm: clipped(text, longest) for arm, text in texts.items()}


def _shared_words(texts: list[str]) -> int:
    """Length of the beginning that all share, but for its last two words, which tell where the rest belongs."""
    n = 0
    while n < min(map(len, texts)) and len({text[n] for text in texts}) == 1:
        n += 1
    return max(texts[0].rfind(" ", 0, max(texts[0].rfind(" ", 0, n), 0)), 0)


def in_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell or outside of a table."""
    return MARKDOWN.sub(r"\\\1", text)


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def seconds(value: float | None) -> str:
    """4.2 s, 3 min 07 s, 2 h 05 min."""
    if value is None:
        return "–"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory(megabytes: float | None) -> str:
    return "–" if megabytes is None else f"{megabytes / 1000:.2f} GB"


def fact(value: object) -> str:
    """A count with its thousands set apart, anything else as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else plain(value)

"""Prompts from captions that were written elsewhere, image by image."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

from mep.artifacts import BaseModel, Images, Prompt, Prompts
from mep.errors import DataError
from mep.machine.tables import named
from mep.stages.prompts.tokens import Tokenize, Tokens, length_of, reading_of

FIELD = "prompts.method"


def given_prompts(
    texts: Sequence[str | None], images: Images, n_train: int, base: BaseModel, too_long: Literal["refuse", "cut"]
) -> Prompts:
    """A prompt for every distinct caption of the training images; captions of the same tokens are one.

    texts   of the images, of which the first n_train are trained on

    DataError   an image without a caption, or captions that are longer than the text encoder reads
    """
    if missing := [image_id for image_id, text in zip(images.ids, texts, strict=True) if text is None]:
        raise DataError(
            f"{len(missing)} of {len(texts)} images have no caption: {named(missing)}",
            hint="write them, or take these images out: dataset.exclude",
            field=FIELD,
        )
    captions = _fitted([str(text) for text in texts], *reading_of(base), too_long)
    rows_of: dict[Tokens, list[int]] = defaultdict(list)
    for row, (_, tokens) in enumerate(captions):
        rows_of[tokens].append(row)
    shown = [rows for rows in rows_of.values() if rows[0] < n_train]  # the first: training images stand before others
    prompts = [_prompt(captions[rows[0]][0], [row for row in rows if row < n_train], images) for rows in shown]
    order = sorted(range(len(shown)), key=lambda place: (prompts[place].label or "", prompts[place].text))
    number = {image: place for place, prompt in enumerate(order) for image in shown[prompt]}
    of_image = {image_id: number[row] for row, image_id in enumerate(images.ids) if row in number}
    return Prompts([prompts[place] for place in order], of_image)


def _prompt(text: str, rows: list[int], images: Images) -> Prompt:
    labels = {images.label_of(row) for row in rows}
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    prompt_id = f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:10]}".strip("-")
    return Prompt(prompt_id, text, labels.pop() if len(labels) == 1 else None, None, len(rows))


def _fitted(texts: list[str], tokenize: Tokenize, most: int, too_long: str) -> list[tuple[str, Tokens]]:
    """Each caption with its tokens, cut to the most that are read where that is wanted."""
    tokens_of = {text: tokenize(text) for text in set(texts)}
    # what is cut has to fit whether or not its new tokens are learned
    lengths = {
        text: length_of(text, tokenize) if too_long == "refuse" else len(tokens) for text, tokens in tokens_of.items()
    }
    if long := sorted(text for text, n in lengths.items() if n > most):
        if too_long == "refuse":
            refuse_long({text: lengths[text] for text in long}, len(tokens_of), most)
        cut = {text: _cut(text, tokenize, most) for text in long}
        texts = [cut.get(text, text) for text in texts]
        tokens_of |= {text: tokenize(text) for text in cut.values()}
    return [(text, tokens_of[text]) for text in texts]


def refuse_long(lengths: Mapping[str, int], n_captions: int, most: int) -> NoReturn:
    """DataError of captions that are longer than the text encoder reads, with the tokens of each."""
    longest = max(lengths, key=lambda text: lengths[text])
    shown = longest if len(longest) < 60 else f"{longest[:59]}…"
    raise DataError(
        f"{len(lengths)} of {n_captions} captions have more than the {most} tokens that the text encoder"
        f" reads; the longest has {lengths[longest]}: '{shown}'",
        hint="shorten them, or end them with the last word that fits: prompts.method.too_long: cut",
        field=FIELD,
    )


def _cut(text: str, tokenize: Tokenize, most: int) -> str:
    """The text up to the last word with which it has at most so many tokens; DataError where not one word fits."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(tokenize(text[: ends[middle - 1]])) <= most else (low, middle)
    if low == 0:
        raise DataError(f"not one word of a caption fits into {most} tokens: '{text[:60]}...'", field=FIELD)
    return text[: ends[low - 1]]

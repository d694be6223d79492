"""Addresses of stores that hosts share."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

BUCKET = re.compile(r"[a-z][a-z0-9+.-]*://[^\s@]+")


def checked(text: str) -> str:
    """The address; ValueError where it is none."""
    if "@" in text and "://" in text:
        raise ValueError("no names and passwords in an address: it is kept with every run")
    if not BUCKET.fullmatch(text) and not text.startswith("/"):
        raise ValueError(f"'{text}' is no address: wanted s3://bucket/folder, or a path from the root")
    return text


Address = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(checked)]
"""s3://bucket/folder, gs://bucket/folder, or a folder by its path from the root."""

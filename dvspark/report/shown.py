"""Shown: what a person recognizes a row by, from a column of the training table: a text, a link or a picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dvspark.report.packages import report_module
from dvspark.report.text import clip

# Of 5,000 rows this is 0.7 million letters at most.
LONGEST_TEXT, N_LONG, LONGEST_LATER = 300, 1_000, 100
LONGEST_LINK = 2_000
LINKS = ("https://", "http://")
# A thumbnail is 3 to 6 KB in the page: 200 of them stay below 1.2 MB.
N_PICTURES = 200
PIXELS = 112
QUALITY = 72
# A picture that unpacks to more is not opened.
LARGEST_PIXELS = 40_000_000
UNREADABLE = "no picture that can be read"
LEFT_OUT = "picture not shown: the page has the first 200"


@dataclass(frozen=True)
class Shown:
    """A column of the training table for some rows: its name, and the content by id."""

    name: str
    by_id: dict[Hashable, Any]

    def of(self, ids: list[Hashable]) -> dict[str, Any]:
        """Return the column's name and, for each row, its kind (text, link, picture) and content; None for nothing."""
        cells: list[tuple[str, str] | None] = []
        n_pictures = 0
        for each in ids:
            content = self.by_id.get(each)
            if isinstance(content, bytes):
                n_pictures += 1
                cells.append(("picture", _thumbnail(content)) if n_pictures <= N_PICTURES else ("text", LEFT_OUT))
                if cells[-1] == ("picture", ""):
                    cells[-1] = ("text", UNREADABLE)
            else:
                cells.append(_text_cell(content, LONGEST_TEXT if len(cells) < N_LONG else LONGEST_LATER))
        return {"name": clip(self.name).shown, "cells": cells}


def shown_column(table: pa.Table, name: str) -> Shown:
    """Return a column of a table that also has the column id."""
    return Shown(name, dict(zip(table["id"].to_pylist(), table[name].to_pylist(), strict=True)))


def _text_cell(content: Any, longest: int) -> tuple[str, str] | None:
    if content is None:
        return None
    is_link = isinstance(content, str) and content.startswith(LINKS) and len(content) <= LONGEST_LINK
    if is_link and content.isprintable():
        return ("link", content)
    return ("text", clip(content, longest).shown)


def _thumbnail(content: bytes) -> str:
    """Return a picture as a small JPEG in base64; nothing where it is none, or too large."""
    images = report_module("PIL.Image")
    with suppress(Exception):  # a decoder fails in any way on bytes that are no picture
        with images.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                return ""
            picture.draft("RGB", (PIXELS, PIXELS))
            small = picture.convert("RGB")
            small.thumbnail((PIXELS, PIXELS))
        written = io.BytesIO()
        small.save(written, "JPEG", quality=QUALITY)
        return base64.b64encode(written.getvalue()).decode()
    return ""

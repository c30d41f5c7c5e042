"""Feature lines: an id, a hash and numbers a line, with tabs between, as YFCC100M-HNfc6 has its features."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas import Floats, Int64s
from dvspark.tables.imports.bad_lines import BadLines

TAB = ord("\t")
# The fields before the numbers: id and hash.
N_HEAD = 2
# An id of more digits is none that an integer of 64 bits surely holds.
MOST_DIGITS = 18
NO_ID, NO_NUMBER, NOT_FINITE = "an id that is no whole number", "a number that is none", "a number that is not finite"


def n_numbers_of(text: bytes) -> int:
    """Return how many numbers most lines of a block have; 0 if there are none."""
    counts = Counter(line.rstrip().count(b"\t") + 1 - N_HEAD for line in text.splitlines())
    return max(0, counts.most_common(1)[0][0]) if counts else 0


def feature_rows(text: bytes, first_line: int, n_numbers: int, bad: BadLines) -> tuple[Int64s, Floats]:
    """Return ids (n,) and numbers (n, n_numbers) float32 of the good lines of a block, in order; set others aside.

    ``first_line``: the number of the block's first line in its file. Arrow parses the numbers, each to the float32
    nearest to it. Memory: about three times the block. Time: `python -m tests.bench.yfcc100m` tells.
    """
    numbered = list(enumerate(text.split(b"\n")[:-1], first_line))
    ids, bodies, lines = list[int](), list[bytes](), list[int]()
    for number, line in numbered:
        line = line.rstrip()  # noqa: PLW2901 - some writers end lines by a tab, or by two characters
        n_found = line.count(b"\t") + 1 - N_HEAD
        photo, _, rest = line.partition(b"\t")
        if n_found != n_numbers:
            bad.add(number, f"not {n_numbers + N_HEAD} fields", f"{n_found + N_HEAD} fields: {_start(line)}")
        elif not photo.isdigit() or len(photo) > MOST_DIGITS:
            bad.add(number, NO_ID, photo)
        else:
            ids.append(int(photo))
            bodies.append(rest[rest.index(b"\t") + 1 :])
            lines.append(number)
    x = _parsed(bodies, n_numbers)
    if x is None:  # of some line; which one is told line by line
        each = [_parsed_line(body, n_numbers, line, bad) for body, line in zip(bodies, lines, strict=True)]
        kept = [place for place, row in enumerate(each) if row is not None]
        ids, lines = [ids[place] for place in kept], [lines[place] for place in kept]
        bodies = [bodies[place] for place in kept]
        x = np.vstack([np.empty((0, n_numbers), np.float32), *(row for row in each if row is not None)])
    is_finite = np.isfinite(x).all(axis=1)
    for place in np.flatnonzero(~is_finite):
        field = bodies[place].split(b"\t")[int(np.argmin(np.isfinite(x[place])))]
        bad.add(lines[place], NOT_FINITE, field)
    return np.array(ids, np.int64)[is_finite], x if is_finite.all() else x[is_finite]


def _parsed(bodies: list[bytes], n_numbers: int) -> Floats | None:
    """Return the numbers of lines as a matrix; None if one of them is none."""
    text = b"\t".join([*bodies, b""])
    # Fields with the tab behind each: these offsets need one look at the bytes. The tabs go before Arrow parses.
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == TAB).astype(np.int32) + np.int32(1)
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    fields = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    try:
        numbers = pc.cast(pc.ascii_rtrim_whitespace(fields), pa.float32())
    except (pa.ArrowException, UnicodeDecodeError):  # the message of bytes that are no text is none either
        return None
    found: Floats = numbers.to_numpy().reshape(len(bodies), n_numbers)
    return found


def _parsed_line(body: bytes, n_numbers: int, line: int, bad: BadLines) -> Floats | None:
    row = _parsed([body], n_numbers)
    if row is None:
        odd = next(field for field in body.split(b"\t") if _parsed([field], 1) is None)
        bad.add(line, NO_NUMBER, odd)
    return row


def _start(line: bytes) -> str:
    return line[:60].decode(errors="replace")

"""Text blocks: a text file, compressed or not, in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.unreadable import unreadable_file

# Some 400 lines of 4,096 numbers; larger blocks were no faster.
BLOCK_BYTES = 2**24
# A longer line is none: the file is another than it was taken for.
LONGEST_LINE = 2**26


def text_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's text in blocks of about `BLOCK_BYTES`, each of whole lines with a newline at its end.

    What the name ends in, such as .gz or .bz2, says how it is compressed. Memory: two blocks, and the longest line.
    Raises: InputError for a file that cannot be read or ends too early, and for lines longer than `LONGEST_LINE`.
    """
    with told(path), opened_text(path) as file:
        rest = b""
        while block := file.read(BLOCK_BYTES):
            cut = block.rfind(b"\n") + 1
            if cut:
                yield rest + block[:cut]
                rest = b""
            rest += block[cut:]
            if len(rest) > LONGEST_LINE:
                hint = "is it text? give the file as it was downloaded"
                raise InputError(Problem(str(path), f"lines of at most {LONGEST_LINE} bytes", "a longer one", hint))
        if rest:
            yield rest + b"\n"


def opened_text(path: Path) -> Any:
    """Return a file as a stream of its text; its name says how it is compressed."""
    return pa.input_stream(str(path), compression="detect")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise InputError with the name of a file that cannot be read."""
    try:
        yield
    except (OSError, EOFError, pa.ArrowException) as error:
        raise unreadable_file(f"{path}: {error}") from error

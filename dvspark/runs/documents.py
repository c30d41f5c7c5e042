"""Documents: JSON and arrays that a run writes and later reads back, maybe damaged in between.

Reading takes no more memory than the file is large: nothing is unpacked, and no room is made for data that the file
does not hold.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

# The largest document is the private release of some 8 million points: ids, and a pair of counts each.
LARGEST_BYTES = 2**28
# A list of nothing takes 3 bytes of text and 64 of memory.
MOST_LISTS = 2**24
MOST_LEVELS = 50
# Types of numbers; objects, texts and structures are never written.
KINDS_OF_NUMBERS = "biuf"


def sealed(told: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Return a JSON object as a file's content, with its sha256, so that a lost digit cannot make another number."""
    return json.dumps({**told, "sha256": _digest(json.dumps(told))}, indent=indent).encode()


def unsealed(content: bytes) -> dict[str, Any] | None:
    """Return the object that was sealed, or None if the content has changed."""
    told = json_object(content)
    if told is None or told.pop("sha256", None) != _digest(json.dumps(told)):
        return None
    return told


def json_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a file holds; None if the file is damaged, too large, or holds something else."""
    if len(content) > LARGEST_BYTES or content.count(b"[") + content.count(b"{") > MOST_LISTS:
        return None
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or too deep
        return None
    return told if isinstance(told, dict) and not is_deeper(told, MOST_LEVELS) else None


def is_deeper(tree: Any, most_levels: int) -> bool:
    """Return whether lists and mappings are nested more than ``most_levels`` deep, too deep for recursion."""
    level = [tree]
    for _ in range(most_levels + 1):
        inner = [one.values() if isinstance(one, Mapping) else one for one in level if isinstance(one, (Mapping, list))]
        if not inner:
            return False
        level = [one for some in inner for one in some]
    return True


def read_stored(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file as `numpy.savez` writes it: numbers, not compressed, each of the length it states.

    Memory: the content once more.
    Raises: ValueError for any other file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = file.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
                raise ValueError("arrays that are compressed or encrypted")
            if sum(member.file_size for member in members) > len(content):
                raise ValueError("arrays that are larger than their file")
            return {member.filename.removesuffix(".npy"): _array(file.read(member)) for member in members}
    except (zipfile.BadZipFile, EOFError, struct.error, OverflowError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _array(content: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array of another version")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    n_bytes = len(content) - stream.tell()
    if dtype.kind not in KINDS_OF_NUMBERS or min(shape, default=0) < 0:
        raise ValueError(f"an array {shape} of {dtype}")
    if math.prod(shape) * dtype.itemsize != n_bytes:
        raise ValueError(f"an array that declares {shape} of {dtype}, and holds {n_bytes} bytes")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if in_columns else "C").copy()


def missing_in(told: Mapping[str, Any], needed: Mapping[str, type]) -> list[str]:
    """Return which of the needed entries, such as "inputs.train", are missing or have another type."""
    return [place for place, kind in needed.items() if not isinstance(_at(told, place), kind)]


def _at(told: Any, place: str) -> Any:
    for part in place.split("."):
        told = told.get(part) if isinstance(told, dict) else None
    return told


def _digest(text: str) -> str:
    # Read back first: keys that were integers become texts, which sort in another order.
    return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode()).hexdigest()

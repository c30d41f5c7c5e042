"""The digests of many rows in one call: Numba calls the SHA-256 of the OpenSSL that Python's hashlib uses.

Python makes an object for each digest, which takes longer than the digest of a row of 256 bytes.
"""

from __future__ import annotations

import _hashlib
import ctypes
from collections.abc import Callable

import llvmlite.binding
import numba
import numpy as np
import numpy.typing as npt

from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Int64s

Bytes = npt.NDArray[np.uint8]

# OpenSSL's SHA256_CTX has 112 bytes.
STATE_BYTES = 256
# Numba finds functions by these names, and would not call others that another library has under OpenSSL's.
PREFIX = "dvspark_"


def _of_openssl(name: str, *types: numba.types.Type) -> Callable[..., int]:
    """Return a function of the library that hashlib is linked to. Raises: AttributeError if it is not there."""
    function = getattr(ctypes.CDLL(_hashlib.__file__), name)
    llvmlite.binding.add_symbol(PREFIX + name, ctypes.cast(function, ctypes.c_void_p).value)
    found: Callable[..., int] = numba.types.ExternalFunction(PREFIX + name, numba.types.int32(*types))
    return found


POINTER, SIZE = numba.types.voidptr, numba.types.uint64
begin = _of_openssl("SHA256_Init", POINTER)
update = _of_openssl("SHA256_Update", POINTER, POINTER, SIZE)
finish = _of_openssl("SHA256_Final", POINTER, POINTER)


@compiled
def hash_rows(rows: Bytes, letters: Bytes, starts: Int64s, out: Bytes) -> None:
    """Fill ``out`` (n, 32) with the sha256 of ``rows`` (n, n_bytes), each followed by its text.

    The text of row i is ``letters[starts[i] : starts[i + 1]]``.
    """
    state = np.empty(STATE_BYTES, np.uint8)
    for row in range(len(rows)):
        text = letters[starts[row] : starts[row + 1]]
        begin(state.ctypes.data)
        update(state.ctypes.data, rows[row].ctypes.data, rows.shape[1])
        update(state.ctypes.data, text.ctypes.data, len(text))
        finish(out[row].ctypes.data, state.ctypes.data)

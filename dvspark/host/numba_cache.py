"""Numba's cache: where the processes of one user keep compiled loops. Numba runs what it finds there."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from dvspark.host.owned import PRIVATE_FOLDER, is_own_folder

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "dvspark-numba-"


def use_private_cache() -> None:
    """Have Numba, which is not loaded yet, use a folder of this user alone, unless the environment names one.

    By itself it writes beside the package, which may lie where nobody can write.
    """
    if CACHE_VARIABLE not in os.environ:
        os.environ[CACHE_VARIABLE] = str(private_cache())


def private_cache() -> Path:
    """Return the user's folder for compiled loops; a new one where what stands there is not of this user alone."""
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(PRIVATE_FOLDER)
    return folder if is_own_folder(folder) else Path(tempfile.mkdtemp(prefix=PREFIX))

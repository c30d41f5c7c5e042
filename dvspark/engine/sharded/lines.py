"""Lines: arrays with a line for each point, which go from task to task through files beside the blocks."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np

# Files that a task has mapped at once; a process may map 65,530.
MOST_MAPPED = 1_000

Lined = np.ndarray[Any, np.dtype[Any]]


def write_lines(folder: Path, name: str, lines: Lined) -> str:
    """Write an array, whose first axis is its lines, and return the name of its file.

    No other attempt at the same task uses the name; who reads it hears of one file.
    """
    file = f"{name}-{uuid.uuid4().hex}.npy"
    np.save(folder / file, lines)
    return file


class Lines:
    """The lines of files in a folder; each file is mapped once, and only what is asked for is read."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._opened = folder, dict[str, Lined]()

    def of(self, file: str, line: int) -> Lined:
        """Return a line of a file, mapped read-only."""
        if file not in self._opened:
            if len(self._opened) == MOST_MAPPED:
                self._opened.clear()
            self._opened[file] = np.load(self._folder / file, mmap_mode="r", allow_pickle=False)
        return np.asarray(self._opened[file][line])

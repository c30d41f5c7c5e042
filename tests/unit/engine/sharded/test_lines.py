"""Lines of files: each attempt at a task has files of its own, and what is read is what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvspark.engine.sharded import lines
from dvspark.engine.sharded.lines import Lines, write_lines


def test_lines__are_those_that_were_written_whatever_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_MAPPED", 2)
    arrays = [
        np.arange(12, dtype=kind).reshape(4, 3) + first for first, kind in enumerate(["<u1", "<u2", "<f8", "<i4"])
    ]
    files = [write_lines(tmp_path, "table", array) for array in arrays]
    read = Lines(tmp_path)
    for line in (3, 0, 2):
        for file, array in zip(files, arrays, strict=True):
            found = read.of(file, line)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array[line])


def test_files__of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first, second = (write_lines(tmp_path, "codes-00000", np.full((1, 2), value)) for value in (1, 2))
    assert [Lines(tmp_path).of(file, 0).tolist() for file in (first, second)] == [[1, 1], [2, 2]]

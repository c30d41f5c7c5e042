"""Training rows on their way through files: as they were and in their order, or refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dvspark.engine.index.train_pieces import Piece, read_pieces, write_pieces
from dvspark.errors import ComputeError


def packed(number: int) -> pa.RecordBatch:
    """Two packed rows, which need not hold any training rows to be handed on."""
    columns = {"n_rows": [number, number + 1], "x": [bytes([number]) * 9, b""], "keys": [b"k", bytes([number])]}
    return pa.RecordBatch.from_pydict(columns)


def written(folder: Path, *tasks: list[pa.RecordBatch]) -> list[Piece]:
    return [piece for task in tasks for told in write_pieces(iter(task), folder) for piece in told.to_pylist()]


def test_pieces__come_back_in_the_order_of_the_tasks_and_leave_nothing(tmp_path: Path) -> None:
    pieces = written(tmp_path, [packed(1), packed(2)], [], [packed(3)])
    written(tmp_path, [packed(9)])  # another attempt, which nobody told of
    assert len(pieces) == 2
    assert list(read_pieces(pieces, tmp_path)) == [row for number in (1, 2, 3) for row in packed(number).to_pylist()]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("got", ["none", "another one"])
def test_pieces__one_that_is_not_as_it_was_written_is_refused(tmp_path: Path, got: str) -> None:
    pieces = written(tmp_path, [packed(1)])
    path = tmp_path / pieces[0]["name"]
    content = path.read_bytes()
    path.unlink()
    if got == "another one":
        path.write_bytes(content[:-1])
    with pytest.raises(ComputeError, match=rf"got: {got}\n.*work_dir"):
        list(read_pieces(pieces, tmp_path))


def test_pieces__a_host_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match=r"(?s)a folder that all hosts see.*No such file.*set work_dir"):
        written(tmp_path / "elsewhere", [packed(1)])

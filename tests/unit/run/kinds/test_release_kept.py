"""A private release is drawn once: of several starts at once one is kept and used by all, or none goes on."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs

from dvspark.engine.tasks import ChunkWork, counts_table
from dvspark.errors import OutputConflictError
from dvspark.methods.options import ValueOptions
from dvspark.run.kinds.neighbors import Keep, released
from dvspark.tables.storage import Storage, open_storage

IDS = [f"point {number:02}" for number in range(40)]
BUDGET = {"radius": 1.0, "epsilon": 1.0, "delta": 1e-6, "n_classes": 2}
N_STARTS = 6
NAME = "private/run_id=run/release.json"


def _bucket(folder: Path) -> Storage:
    """A storage that is not known to be a local disk, as HDFS and object stores."""
    return Storage("s3a://bucket", "bucket", fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem()))


def _without_links(*_: Any) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture(params=["local", "local without links", "bucket"])
def storage(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    if request.param == "local without links":
        monkeypatch.setattr("dvspark.tables.storage.os.link", _without_links)
    return _bucket(tmp_path) if request.param == "bucket" else open_storage(str(tmp_path))


def _start(storage: Storage, fingerprint: str = "a" * 64, barrier: Barrier | None = None) -> list[list[int]]:
    """Return the noisy counts that a start uses; with the others at the barrier, when none has drawn yet."""
    options = ValueOptions.of("dp_threshold_knn_shapley", None, 2, BUDGET)
    work = ChunkWork(options, options.resolved(2), None)

    def counts_of(_: ChunkWork) -> pa.Table:
        if barrier is not None:
            barrier.wait(60)
        return counts_table(pa.chunked_array([IDS]), np.full((len(IDS), 2), 5))

    _, _, noisy = released(work, len(IDS), counts_of, Keep(storage, "run", fingerprint))
    assert noisy["id"].to_pylist() == IDS
    return np.stack([noisy["n_matches"].to_numpy(), noisy["n_others"].to_numpy()], axis=1).tolist()


def _at_once(storage: Storage) -> tuple[list[list[list[int]]], list[Exception]]:
    """Return what several starts use, and why others do not go on."""
    barrier = Barrier(N_STARTS)
    with ThreadPoolExecutor(N_STARTS) as pool:
        starts = [pool.submit(_start, storage, barrier=barrier) for _ in range(N_STARTS)]
    stopped = [error for start in starts if (error := start.exception()) is not None]
    return [start.result() for start in starts if start.exception() is None], stopped


def test_release__of_several_starts_at_once_one_is_used_by_all(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    used, stopped = _at_once(storage)
    assert stopped == []
    assert used == [_start(storage)] * N_STARTS
    assert [path.name for path in tmp_path.rglob("release.json*")] == ["release.json"]


def test_release__of_several_starts_at_once_no_two_are_used_on_any_storage(storage: Storage) -> None:
    used, stopped = _at_once(storage)
    again = _start(storage)  # draws, if nobody could tell who was first
    assert used == [again] * len(used)
    assert all(isinstance(error, OutputConflictError) for error in stopped)
    assert storage.rivals(NAME) == []


def test_write_first__of_two_that_see_each_other_none_writes(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, true = Barrier(2), Storage.write

    def write(self: Storage, name: str, content: bytes) -> None:
        true(self, name, content)
        barrier.wait(60)

    monkeypatch.setattr(Storage, "write", write)
    rivals = Storage.rivals

    def seen(self: Storage, name: str) -> list[str]:
        found = rivals(self, name)
        barrier.wait(60)
        return found

    monkeypatch.setattr(Storage, "rivals", seen)
    is_linked = storage.file_system.type_name == "local" and os.link is not _without_links
    with ThreadPoolExecutor(2) as pool:
        wrote = list(pool.map(lambda content: storage.write_first(NAME, content), [b"one", b"two"]))
    assert sorted(wrote) == ([False, True] if is_linked else [False, False])
    assert storage.exists(NAME) == is_linked
    assert rivals(storage, NAME) == []


def test_write_first__leaves_what_is_there(storage: Storage) -> None:
    assert storage.write_first(NAME, b"one")
    assert not storage.write_first(NAME, b"two")
    assert storage.read(NAME) == b"one"


def test_release__what_a_killed_start_left_beside_it_is_named_or_removed(storage: Storage) -> None:
    left = f"{NAME}.0123456789abcdef"
    storage.write(left, b"cut sh")
    if storage.file_system.type_name != "local" or os.link is _without_links:
        with pytest.raises(OutputConflictError, match=r"(?s)0123456789abcdef.*remove its file first"):
            _start(storage)  # it may be that of a start that lives
        storage.remove_file(left)
    used = _start(storage)
    assert _start(storage) == used
    assert storage.rivals(NAME) == []


def test_release__of_another_run_is_refused_with_both_fingerprints(storage: Storage) -> None:
    _start(storage)
    with pytest.raises(OutputConflictError, match=r"(?s)fingerprint b{12}.*fingerprint a{12}.*drawn once"):
        _start(storage, "b" * 64)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _other_count(content: bytes) -> bytes:
    told = json.loads(content)
    told["noisy_counts"][3][1] += 1
    return json.dumps(told).encode()


@pytest.mark.parametrize("damage", [_cut, _other_count, lambda _: b"", lambda _: b"[]", lambda _: b"\xff"])
def test_release__damaged_is_refused_and_not_drawn_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    storage = open_storage(str(tmp_path))
    _start(storage)
    damaged = damage(storage.read(NAME))
    storage.write(NAME, damaged)
    with pytest.raises(OutputConflictError, match=r"(?s)release\.json.*a damaged file.*put a copy back") as refused:
        _start(storage)
    assert refused.value.exit_code == 4
    assert storage.read(NAME) == damaged

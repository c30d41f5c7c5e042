"""An index written while its rows are checked is the one written afterward; of bad rows and dead runs nothing stays."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.config.sources import load_config
from dvspark.engine.index import index_writing
from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.replicated import ahead
from dvspark.engine.replicated.ahead import index_ahead
from dvspark.errors import ComputeError, DvsparkError, InputError
from dvspark.local.session import LocalSession, open_local_session
from dvspark.methods.options import ValueOptions
from dvspark.run.pipeline import run
from dvspark.tables.passes import Begin
from dvspark.tables.sources.read import Rows, read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.table_checks import validate

N, D = 60, 3
OPTIONS = ValueOptions("knn_shapley", {"k": 2}, self_validation=True)


def _table(dtype: str = "float32", order: np.ndarray[Any, Any] | None = None) -> pa.Table:
    order = np.arange(N) if order is None else order
    x = np.random.default_rng(0).standard_normal((N, D)).astype("float64" if dtype == "float64" else "float32")[order]
    ids = [f"row {number:02d}" for number in order]
    embedding = [row.tobytes() for row in x] if dtype == "bytes" else list(x)
    return pa.table({"id": ids, "embedding": embedding, "label": [int(number) % 3 for number in order]})


def _rows(session: LocalSession, table: pa.Table, place: Path) -> Rows:
    pq.write_table(table, place / "train.parquet", row_group_size=17)
    rows = read_rows(session, "train", TableReference(path=str(place / "train.parquet")))
    assert isinstance(rows, Rows)
    return rows


@contextmanager
def _begin(work: Path, plan: str = "auto", host_memory: str | None = None) -> Iterator[Begin]:
    with index_ahead(work, plan, host_memory) as begin:
        yield begin


@pytest.mark.parametrize("dtype", ["float32", "float64", "bytes"])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_index_ahead__has_the_bytes_of_rows_packed_in_id_order(tmp_path: Path, dtype: str, is_shuffled: bool) -> None:
    order = np.random.default_rng(1).permutation(N) if is_shuffled else np.arange(N)
    table, work, stored = _table(dtype, order), tmp_path / "work", "float64" if dtype == "float64" else "float32"
    with open_local_session() as session, _begin(work) as begin:
        rows = _rows(session, table, tmp_path)
        inputs = validate(rows, None, OPTIONS, "fail", begin=begin)
        assert inputs.ahead is not None
        assert inputs.train.keys is not None
        inputs.ahead.move_to(tmp_path / "index")
        assert list(work.iterdir()) == []
        writer = IndexWriter(tmp_path / "index", N, D, stored, with_rows=True)
        writer.write_keys(inputs.train.keys)
        found = writer.finish("euclidean")
    plain, packed = IndexWriter(tmp_path / "plain", N, D, stored), table.sort_by("id")
    x = [np.frombuffer(row, "<f4") if dtype == "bytes" else row for row in packed["embedding"].to_pylist()]
    plain.append(np.array(x, stored), packed.drop_columns(["embedding"]))
    assert found.digest == plain.finish("euclidean").digest
    assert inputs.train_facts == validate(rows, None, OPTIONS, "fail").train_facts


SPOILED: dict[str, dict[str, Any]] = {
    "a null": {"embedding": None},
    "a shorter row": {"embedding": [1.0]},
    "no numbers": {"embedding": []},
    "a number that is null": {"embedding": [1.0, None, 0.0]},
    "infinity": {"embedding": [1.0, float("inf"), 0.0]},
    "no label": {"label": None},
    "no id": {"id": None},
    "an id again": {"id": "row 07"},
    "bytes of no whole number": {"embedding": b"1234567"},
    "fewer bytes": {"embedding": b"1234"},
    "no bytes": {"embedding": b""},
}


@pytest.mark.parametrize("place", [0, 30, N - 1])
@pytest.mark.parametrize("what", SPOILED)
def test_index_ahead__is_not_taken_of_refused_or_fewer_rows(tmp_path: Path, what: str, place: int) -> None:
    whole, work = _table("bytes" if "bytes" in what else "float32"), tmp_path / "work"
    listed = whole.to_pylist()
    listed[place] |= SPOILED[what]
    table = pa.Table.from_pylist(listed, whole.schema)
    with open_local_session() as session:
        rows, told = _rows(session, table, tmp_path), list[str]()
        with pytest.raises(InputError) as refused:
            validate(rows, None, OPTIONS, "fail")
        told.append(str(refused.value))
        with pytest.raises(InputError) as refused, _begin(work) as begin:
            validate(rows, None, OPTIONS, "fail", begin=begin)
        told.append(str(refused.value))
        assert told[0] == told[1]
        assert list(work.glob("*")) == []
        with _begin(work) as begin:
            inputs = validate(rows, None, OPTIONS, "reject", begin=begin)
            assert inputs.ahead is None
            assert list(work.glob("*")) == []  # at once, since the run goes on
        assert inputs.train_facts == validate(rows, None, OPTIONS, "reject").train_facts


def test_index_ahead__leaves_blocks_texts_and_full_disks_to_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_text("id,embedding_0,embedding_1,label\na,1,2,x\nb,2,1,y\n")
    with open_local_session() as session:
        rows = _rows(session, _table(), tmp_path)
        text = read_rows(session, "train", TableReference(path=str(tmp_path / "train.csv"), format="csv"))
        assert isinstance(text, Rows)
        with _begin(tmp_path / "work", "sharded") as begin:
            assert begin(rows, "float32") is None
        with _begin(tmp_path / "work", host_memory="1k") as begin:
            assert begin(rows, "float32") is None
        with _begin(tmp_path / "train.csv") as begin:  # where no folder can be made
            assert begin(rows, "float32") is None
        with _begin(tmp_path / "work") as begin:
            assert begin(text, "float32") is None
            assert begin(rows, "float32") is not None
        monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, N * D * 4))
        with _begin(tmp_path / "work") as begin:
            assert begin(rows, "float32") is None
    assert list((tmp_path / "work").iterdir()) == []


# --- whole jobs ---------------------------------------------------------------------------------------------


def _settings(folder: Path) -> dict[str, Any]:
    pq.write_table(_table(order=np.random.default_rng(2).permutation(N)), folder / "train.parquet")
    settings = {"train": folder / "train.parquet", "output": folder / "out", "work_dir": folder / "work"}
    more = {"k": 2, "self_validation": True, "engine": "local", "report": False, "run_id": "run"}
    return {name: str(path) for name, path in settings.items()} | more


def _job(settings: dict[str, Any]) -> pa.Table:
    with open_local_session() as session:
        run(load_config(None, settings), session)
    return pq.read_table(Path(settings["output"]) / "values/run_id=run").sort_by("id")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The values of a job whose rows are read again for their index."""
    with pytest.MonkeyPatch.context() as before:
        before.setattr(ahead, "_fits", lambda *_: False)
        return _job(_settings(tmp_path_factory.mktemp("expected")))


# Kills itself where a function is called for the first time, after it or before it.
DYING = """
import importlib, json, os, signal, sys
from dvspark.config.sources import load_config
from dvspark.local.session import open_local_session
from dvspark.run.pipeline import run
module, _, name = sys.argv[1].partition(":")
holder = importlib.import_module(module)
*path, last = name.split(".")
for one in path:
    holder = getattr(holder, one)
true = getattr(holder, last)

def dying(*args, **named):
    if sys.argv[2] == "after":
        true(*args, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(holder, last, dying)
with open_local_session() as session:
    run(load_config(None, json.loads(sys.argv[3])), session)
"""
AHEAD = "dvspark.engine.replicated.ahead:"
# Where a run dies, and how many indexes the run that goes on begins.
DEATHS = {
    "before the rows": (AHEAD + "write_arrow", "before", 1),
    "between rows": ("dvspark.engine.index.index_writing:RowFile.write", "after", 1),
    "as they are moved": (AHEAD + "IndexAhead.drop", "before", 1),
    "before the index is finished": ("dvspark.engine.index.index_writing:prepare", "before", 1),
    "after the index": ("dvspark.run.pipeline:prepare_method", "before", 0),
}


@pytest.mark.long
@pytest.mark.parametrize("death", DEATHS)
def test_job__killed_leaves_nothing_that_the_next_does_not_use_or_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: pa.Table, death: str
) -> None:
    settings, (where, when, n_indexes), begun = _settings(tmp_path), DEATHS[death], list[Path]()
    killed = subprocess.run([sys.executable, "-c", DYING, where, when, json.dumps(settings)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "work").iterdir()) != []

    def seen(writer: IndexWriter, directory: Path, *shape: Any, with_rows: bool = False) -> None:
        begun.extend([directory] * (not with_rows))
        true(writer, directory, *shape, with_rows=with_rows)

    true = IndexWriter.__init__
    monkeypatch.setattr(IndexWriter, "__init__", seen)
    assert _job(settings).equals(expected)
    assert len(begun) == n_indexes
    assert list((tmp_path / "work").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["runs", "values"]


@pytest.mark.parametrize(
    ("raised", "told"), [(OSError(28, "No space left on device"), ComputeError), (ValueError("a fault"), ValueError)]
)
def test_job__whose_rows_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, told: type[Exception]
) -> None:
    settings = _settings(tmp_path)

    def failing(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(index_writing.RowFile, "write", failing)
    with pytest.raises(told) as found:
        _job(settings)
    assert isinstance(found.value, DvsparkError) == (told is ComputeError)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.long
def test_job__beside_another_in_one_work_dir_touches_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: pa.Table
) -> None:
    settings, inner = _settings(tmp_path), list[pa.Table]()

    def beside(*given: Any) -> None:
        monkeypatch.setattr(ahead, "require_every_place", placed)
        inner.append(_job({**settings, "output": str(tmp_path / "other")}))
        placed(*given)

    placed = ahead.require_every_place
    monkeypatch.setattr(ahead, "require_every_place", beside)
    assert _job(settings).equals(expected)
    assert inner[0].equals(expected)
    assert list((tmp_path / "work").iterdir()) == []

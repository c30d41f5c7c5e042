"""An index written while its rows are checked is the one written afterward, and nothing of refused rows is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.replicated.ahead import IndexAhead, index_ahead
from dvspark.errors import InputError
from dvspark.local.session import LocalSession, open_local_session
from dvspark.methods.options import ValueOptions
from dvspark.schemas import EXACT
from dvspark.tables.sources.read import Rows, read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.table_checks import ValidatedInputs, dtype_of, validate

N, D = 60, 3
OPTIONS = ValueOptions("knn_shapley", {"k": 2}, self_validation=True)


def _table(dtype: str, order: np.ndarray[Any, Any]) -> pa.Table:
    x = np.random.default_rng(0).standard_normal((N, D)).astype(dtype)[order]
    ids = [f"row {number:02d}" for number in order]
    return pa.table({"id": ids, "embedding": list(x), "label": [int(number) % 3 for number in order]})


def _rows(session: LocalSession, table: pa.Table, place: Path) -> Rows:
    pq.write_table(table, place / "train.parquet", row_group_size=17)
    rows = read_rows(session, "train", TableReference(path=str(place / "train.parquet")))
    assert isinstance(rows, Rows)
    return rows


def _checked(rows: Rows, ahead: IndexAhead, on_bad_row: str = "fail") -> ValidatedInputs:
    ahead.suit(dtype_of([rows]))
    return validate(rows, None, OPTIONS, on_bad_row, ahead=ahead)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_index_ahead__has_the_bytes_of_rows_packed_in_id_order(tmp_path: Path, dtype: str, is_shuffled: bool) -> None:
    order = np.random.default_rng(1).permutation(N) if is_shuffled else np.arange(N)
    table, work = _table(dtype, order), tmp_path / "work"
    with open_local_session() as session, index_ahead(session, "auto", None, str(work)) as ahead:
        rows = _rows(session, table, tmp_path)
        inputs = _checked(rows, ahead)
        writer = ahead.writer_for(inputs.train)
        assert writer is not None
        assert inputs.train.keys is not None
        writer.move_to(tmp_path / "index")
        writer.write_keys(inputs.train.keys)
        found = writer.finish("euclidean", EXACT)
    plain, packed = IndexWriter(tmp_path / "plain", N, D, dtype), table.sort_by("id")
    plain.append(np.stack(packed["embedding"].to_numpy()), packed.drop_columns(["embedding"]))
    assert found.digest == plain.finish("euclidean", EXACT).digest
    assert inputs.train_facts == validate(rows, None, OPTIONS, "fail").train_facts
    assert list(work.iterdir()) == []


SPOILED = {
    "a null": {"embedding": None},
    "a shorter row": {"embedding": [1.0]},
    "no label": {"label": None},
    "no id": {"id": None},
    "an id again": {"id": "row 00"},
    "infinity": {"embedding": [1.0, float("inf"), 0.0]},
}


@pytest.mark.parametrize("what", SPOILED)
def test_index_ahead__is_not_taken_of_refused_or_fewer_rows(tmp_path: Path, what: str) -> None:
    whole, work = _table("float32", np.arange(N)), tmp_path / "work"
    listed = whole.to_pylist()
    listed[-1] |= SPOILED[what]
    table = pa.Table.from_pylist(listed, whole.schema)
    with open_local_session() as session:
        rows, told = _rows(session, table, tmp_path), list[str]()
        for with_ahead in (True, False):
            with index_ahead(session, "auto", None, str(work)) as ahead:
                with pytest.raises(InputError) as refused:
                    validate(rows, None, OPTIONS, "fail", ahead=ahead if with_ahead else None)
                assert ahead.writer_for(rows) is None
            told.append(str(refused.value))
        assert told[0] == told[1]
        with index_ahead(session, "auto", None, str(work)) as ahead:
            inputs = _checked(rows, ahead, "reject")
            assert ahead.writer_for(inputs.train) is None
    assert list(work.glob("*")) == []


def test_index_ahead__leaves_blocks_and_texts_to_other_ways(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,embedding_0,embedding_1,label\na,1,2,x\nb,2,1,y\n")
    with open_local_session() as session:
        rows = _rows(session, _table("float32", np.arange(N)), tmp_path)
        with index_ahead(session, "sharded", None, str(tmp_path)) as ahead:
            assert not ahead.takes(rows)
        with index_ahead(session, "auto", "1k", str(tmp_path)) as ahead:
            assert not ahead.takes(rows)
        with index_ahead(session, "auto", None, str(tmp_path)) as ahead:
            assert ahead.takes(rows)
            text = read_rows(session, "train", TableReference(path=str(tmp_path / "train.csv"), format="csv"))
            assert isinstance(text, Rows)
            assert not ahead.takes(text)

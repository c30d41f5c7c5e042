"""Text that is not UTF-8 is shown as escapes, and its rows are told; all other text is left as it is."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.schemas.labels import ListForm
from dvspark.tables.row_checks import RowChecks, mark_rows, tally_rows
from dvspark.tables.sources.words import readable_words
from dvspark.tables.table_checks import by_aspect

CHECKS = RowChecks("euclidean", "default")


def _text(values: list[bytes | None]) -> pa.Array:
    return pa.array(values, pa.binary()).view(pa.string())


@given(st.lists(st.none() | st.binary(max_size=6) | st.text(max_size=4).map(str.encode), max_size=8))
def test_readable_words__are_told_row_by_row(values: list[bytes | None]) -> None:
    found, bad = readable_words(_text(values))
    expected = []
    for value in values:
        try:
            expected.append((value or b"").decode() is None)
        except UnicodeDecodeError:
            expected.append(True)
    assert (bad is not None) == any(expected)
    assert bad is None or bad.tolist() == expected
    for value, word, broken in zip(values, found.to_pylist(), expected, strict=True):
        assert word == (None if value is None else value.decode(errors="backslashreplace" if broken else "strict"))


def test_readable_words__in_lists() -> None:
    flat = _text([b"a", b"\xff", b"b"])
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 1, 1, 3], pa.int32()), flat, mask=pa.array([False, True, False, False])
    )
    found, bad = readable_words(lists)
    assert bad is not None
    assert bad.tolist() == [False, False, False, True]
    assert found.to_pylist() == [["a"], None, [], ["\\xff", "b"]]


def _batch(**changed: pa.Array) -> pa.RecordBatch:
    x = pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float32()))
    return pa.record_batch({"id": ["a", "b", "c"], "embedding": x, "label": ["x", "y", "x"], **changed})


@pytest.mark.parametrize("role", ["id", "label", "owner"])
def test_checks__name_the_rows_whose_text_is_not_utf8(role: str) -> None:
    batch = _batch(**{role: _text([b"a", b"q\xfe", b"c"])})
    (told,) = tally_rows(iter([batch]), CHECKS, with_keys=True)
    assert by_aspect(told.to_pylist())[f"{role} is not UTF-8"] == (1, ["q\\xfe" if role == "id" else "b"])
    (marked,) = mark_rows(iter([batch]), CHECKS)
    assert marked["reason"].to_pylist() == [None, f"{role} is not UTF-8", None]
    marked.validate(full=True)


@pytest.mark.parametrize("labels", [[[1, 0], [0, 1], [1, 0]], [[2, 1], None, [1]], [[], [None, 1], [3, 3]]])
def test_tally__tells_how_lists_of_labels_are_written(labels: list[list[int | None] | None]) -> None:
    (told,) = tally_rows(iter([_batch(label=pa.array(labels, pa.list_(pa.int64())))]), CHECKS)
    (form,) = [t["detail"] for t in told.to_pylist() if t["aspect"] == "form of label lists"]
    whole = [row for row in labels if row is not None and None not in row]
    assert ListForm(*eval(form)) == ListForm.of(pa.array(whole, pa.list_(pa.int64())))  # numbers in brackets

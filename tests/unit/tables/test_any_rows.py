"""Arbitrary batches of the types that are let in: each row is told bad or good, and the good ones can be used."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from property_tests import examples

from dvspark.schemas import columns
from dvspark.schemas.columns import from_ipc
from dvspark.tables.row_checks import ALL_ROWS, DIMENSION, LIST_FORM, RowChecks, mark_rows, tally_rows
from dvspark.tables.row_digests import sum_of_hashes

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=6)
DOUBLES = st.floats(allow_subnormal=True) | st.sampled_from([-0.0, 5e-324, 1e200, -1e308, 3.5e38])
FLOATS = st.floats(width=32, allow_subnormal=True) | st.sampled_from([-0.0, 2.0**127])


def _of_lists(numbers: Any) -> Any:
    return st.lists(numbers | st.none(), max_size=3) | st.lists(numbers, min_size=2, max_size=2)


EMBEDDINGS = [
    (pa.list_(pa.float32()), _of_lists(FLOATS)),
    (pa.list_(pa.float64()), _of_lists(DOUBLES)),
    (pa.binary(), st.binary(max_size=9) | st.binary(min_size=8, max_size=8)),
]
LABELS = [
    (pa.string(), TEXT),
    (pa.int64(), INT64),
    (pa.list_(pa.string()), st.lists(TEXT | st.none(), max_size=3)),
    (pa.list_(pa.int64()), st.lists(INT64 | st.none(), max_size=3)),
    (pa.float64(), DOUBLES),
]
IDS = [(pa.string(), TEXT), (pa.int64(), INT64)]


# Of the same types, cells of rows that are good whatever else is in them: else few of a batch's rows would be.
GOOD = {
    pa.list_(pa.float32()): st.lists(st.integers(-9, 9).map(float), min_size=2, max_size=2),
    pa.list_(pa.float64()): st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=2),
    pa.binary(): st.sampled_from([b"\0" * 8, b"\0\0\x80\x3f" * 2]),
    pa.list_(pa.string()): st.lists(TEXT, min_size=1, max_size=3),
    pa.list_(pa.int64()): st.lists(st.integers(0, 3), min_size=1, max_size=3),
    pa.float64(): st.floats(0, 9),
}


@st.composite
def batches(draw: Any) -> pa.RecordBatch:
    """Draw a batch of up to six rows, any of whose cells may be null; it may be a slice of a longer one."""
    is_good = draw(st.booleans())

    def drawn(kind: pa.DataType, cells: Any) -> pa.Array:
        cells = GOOD.get(kind, cells) if is_good else cells | st.none()
        return pa.array(draw(st.lists(cells, min_size=n, max_size=n)), kind)

    n = draw(st.integers(0, 6))
    found = {}
    for name, kinds in (("id", IDS), ("embedding", EMBEDDINGS), ("label", LABELS)):
        found[name] = drawn(*draw(st.sampled_from(kinds)))
    for name, kind, cells in (("owner", pa.string(), TEXT), ("weight", pa.float64(), DOUBLES)):
        if draw(st.booleans()):
            found[name] = drawn(kind, cells)
    return pa.RecordBatch.from_pydict(found).slice(draw(st.integers(0, n)))


CHECKS = st.builds(
    RowChecks,
    st.sampled_from(["euclidean", "cosine", "inner_product"]),
    st.sampled_from(["default", "float64"]),
    st.booleans(),
    st.none() | st.integers(1, 3),
)


def _is_bad(row: dict[str, Any], checks: RowChecks) -> bool:
    """Return whether a row is bad, one Python number at a time."""
    return (
        row["id"] is None
        or _is_bad_label(row["label"])
        or ("weight" in row and (row["weight"] is None or not 0 <= row["weight"] <= columns.LARGEST_NUMBER))
        or (checks.with_owners and "owner" in row and row["owner"] is None)
        or _is_bad_embedding(row["embedding"], checks)
    )


def _is_bad_label(label: Any) -> bool:
    if isinstance(label, list):
        return not label or None in label
    return label is None or (isinstance(label, float) and not abs(label) <= columns.LARGEST_NUMBER)


def _is_bad_embedding(embedding: Any, checks: RowChecks) -> bool:
    if isinstance(embedding, bytes):
        embedding = None if len(embedding) % 4 else np.frombuffer(embedding, "<f4").tolist()
    if not embedding or None in embedding or checks.n_features not in (None, len(embedding)):
        return True
    squared = sum(number * number for number in embedding)
    too_large = not squared <= columns.LARGEST_SQUARED_NORM[checks.precision]
    return too_large or (checks.metric == "cosine" and squared < columns.SMALLEST_SQUARED_NORM)


@pytest.mark.long
@examples(300)
@given(batches(), CHECKS)
def test_rows__are_marked_and_counted_as_one_number_at_a_time_says(batch: pa.RecordBatch, checks: RowChecks) -> None:
    (marked,) = mark_rows(iter([batch]), checks)
    reasons = marked.column("reason").to_pylist()
    assert [reason is not None for reason in reasons] == [_is_bad(row, checks) for row in batch.to_pylist()]
    (tally,) = tally_rows(iter([batch]), checks, with_keys=True)
    told = tally.to_pylist()
    (everything,) = [row for row in told if row["aspect"] == ALL_ROWS]
    assert everything["n_rows"] == len(batch)
    assert everything["detail"] == str(sum_of_hashes(batch))
    keys, expected = from_ipc(everything["keys"]), pa.table(batch).drop_columns(["embedding"])
    assert keys.schema == expected.schema
    assert repr(keys.to_pylist()) == repr(expected.to_pylist())  # as text, in which NaN is NaN
    counted = {row["aspect"]: row["n_rows"] for row in told if row["aspect"] not in (ALL_ROWS, DIMENSION, LIST_FORM)}
    marks = [aspect for reason in reasons if reason for aspect in reason.split("; ")]
    assert counted == {aspect: marks.count(aspect) for aspect in set(marks)}


def _bytes_of(embedding: list[float | None] | bytes | None, kind: pa.DataType) -> bytes:
    if isinstance(embedding, bytes):
        return embedding
    number = "<f" if pa.types.is_list(kind) and pa.types.is_float32(kind.value_type) else "<d"
    return b"".join(struct.pack(number, 0.0 if part is None else part) for part in embedding or [])


@pytest.mark.long
@examples(300)
@given(batches(), st.data())
def test_sum_of_hashes__is_that_of_every_row_by_itself_in_any_order(batch: pa.RecordBatch, data: Any) -> None:
    rows = batch.to_pylist()
    # A NaN has several forms, of which Python and Arrow need not keep the same.
    assume(not any(np.isnan(number or 0.0) for row in rows for number in row["embedding"] or []))
    kind, expected = batch.schema.field("embedding").type, 0
    for row in rows:
        others = [row[name] for name in sorted(row) if name != "embedding"]
        hashed = sha256(_bytes_of(row["embedding"], kind) + repr(others).encode())
        expected += int.from_bytes(hashed.digest(), "little")
    assert sum_of_hashes(batch) == sum_of_hashes(batch, compiled=True) == expected
    order = data.draw(st.permutations(range(len(batch))))
    border = data.draw(st.integers(0, len(batch)))
    shuffled = batch.take(pa.array(order, pa.int64()))
    assert sum_of_hashes(shuffled.slice(0, border)) + sum_of_hashes(shuffled.slice(border)) == expected


@examples(200)
@given(batches(), st.sampled_from(["default", "float64"]))
def test_columns__good_rows_become_a_finite_matrix_and_codes_of_their_labels(
    batch: pa.RecordBatch, precision: str
) -> None:
    (marked,) = mark_rows(iter([batch]), RowChecks("euclidean", precision, n_features=2))
    table = pa.Table.from_batches([marked])
    good = table.filter(table["reason"].is_null()).combine_chunks()
    x = columns.embedding_matrix(_column(good, "embedding"), np.dtype(np.float64)) if len(good) else np.empty((0, 2))
    assert x.shape == (len(good), 2)
    assert np.isfinite(x).all()
    labels = _column(good, "label")
    words = columns.label_vocabulary(labels)
    codes = columns.encode_labels(labels, words)
    given_labels = labels.to_pylist()
    if columns.is_target(labels):
        np.testing.assert_array_equal(columns.target_numbers(labels), given_labels)
        return
    assert words.to_pylist() == sorted(set(words.to_pylist()), key=_in_arrow)
    for row, label in zip(codes, given_labels, strict=True):
        assert {words[int(code)].as_py() for code in row} == set(label if isinstance(label, list) else [label])
    postings = columns.encode_train_labels(labels, words)
    if postings.offsets is not None and postings.postings is not None:
        for word in range(len(words)):
            rows = postings.postings[postings.offsets[word] : postings.offsets[word + 1]]
            assert rows.tolist() == [row for row, found in enumerate(codes) if word in found]
    elif postings.codes is not None:
        assert postings.codes.tolist() == [int(row[0]) for row in codes]


@examples(100)
@given(st.sampled_from(LABELS[:4]), st.data())
def test_canonical_labels__are_equal_to_what_was_given(kind: Any, data: Any) -> None:
    labels = pa.array(data.draw(st.lists(kind[1], max_size=5)), kind[0])
    assert columns.canonical_labels(labels).to_pylist() == labels.to_pylist()


@given(st.lists(st.floats(), min_size=1, max_size=4))
def test_canonical_labels__fractions_are_refused_not_rounded(numbers: list[float]) -> None:
    labels = pa.array(numbers, pa.float64())
    if all(number.is_integer() and abs(number) <= 2**53 for number in numbers):
        assert columns.canonical_labels(labels).to_pylist() == numbers
    elif any(not number.is_integer() for number in numbers):
        with pytest.raises(pa.ArrowInvalid):
            columns.canonical_labels(labels)


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _in_arrow(word: Any) -> Any:
    return word.encode() if isinstance(word, str) else word

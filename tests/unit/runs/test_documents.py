"""Documents and arrays that are read back: what is damaged, deep or larger than its file is refused at once."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import ComputeError
from dvspark.runs import documents
from dvspark.runs.documents import json_object, read_stored, sealed, unsealed
from dvspark.runs.ledger import arrays_of, partial_of, read_arrays, write_arrays
from dvspark.schemas import Partial
from dvspark.tables.storage import open_storage

TOTALS = Partial(np.arange(40.0), np.arange(40.0) ** 2, 3, 1.5, 0.25, 1e-9, np.full(40, 1e-9), 1)


def npz(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, inner in members:
            file.writestr(name, inner)
    return content.getvalue()


def npy(array: object, allow_pickle: bool = False) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(array), allow_pickle=allow_pickle)
    return content.getvalue()


def declared(shape: tuple[int, ...], descr: str = "<f8", data: bytes = b"") -> bytes:
    """Return an array of a header that says what it likes."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": descr, "fortran_order": False, "shape": shape})
    return content.getvalue() + data


BAD_ARRAYS = {
    "a terabyte declared": npz(("value.npy", declared((2**37,)))),
    "more declared than there is": npz(("value.npy", declared((9,), data=bytes(64)))),
    "less declared than there is": npz(("value.npy", declared((7,), data=bytes(64)))),
    "two negative lengths": npz(("value.npy", declared((-2, -4), data=bytes(64)))),
    "numbers of no bytes": npz(("value.npy", declared((2**62,), descr="|V0"))),
    "compressed": npz(("value.npy", declared((2**26,), data=bytes(2**29))), method=zipfile.ZIP_DEFLATED),
    "objects": npz(("value.npy", npy(np.array([{}], object), allow_pickle=True))),
    "texts": npz(("value.npy", npy(np.array(["a"])))),
    "no array": npz(("value.npy", b"no array")),
    "nothing": b"",
    "no archive": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_read_stored__refuses_what_is_not_as_long_as_it_says(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"."):
            read_stored(BAD_ARRAYS[name])
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    with pytest.raises(ComputeError, match="totals of a run"):
        partial_of(read_arrays(BAD_ARRAYS[name]))


def test_read_stored__refuses_one_content_under_many_names() -> None:
    content = bytearray(npz(("a.npy", npy(np.zeros(5_000)))))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as file:
        start = file.start_dir
    entry, end = bytes(content[start:-22]), bytearray(content[-22:])
    many = 50
    end[8:12] = many.to_bytes(2, "little") * 2
    end[12:16] = (many * len(entry)).to_bytes(4, "little")
    with pytest.raises(ValueError, match="larger than their file"):
        read_stored(bytes(content[:start]) + entry * many + bytes(end))


@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_totals__of_a_byte_changed_is_a_partial_or_a_refusal(place: int, byte: int, cut: bool) -> None:
    content = bytearray(write_arrays(arrays_of(TOTALS)))
    place %= len(content)
    if cut:
        del content[place:]
    else:
        content[place] = byte
    with contextlib.suppress(ComputeError):
        assert partial_of(read_arrays(bytes(content))).value.dtype.kind in "biuf"


def test_totals__are_those_that_were_written() -> None:
    read = partial_of(read_arrays(write_arrays(arrays_of(TOTALS))))
    assert write_arrays(arrays_of(read)) == write_arrays(arrays_of(TOTALS))
    assert read.value.flags.writeable


# --- JSON -------------------------------------------------------------------------------------------------

BAD_DOCUMENTS = {
    "deep lists": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep mappings": b'{"a":' * 900 + b"1" + b"}" * 900,
    "a little too deep": b'{"a":' * (documents.MOST_LEVELS + 1) + b"1" + b"}" * (documents.MOST_LEVELS + 1),
    "no text": b"\xff\xfe{}",
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a list": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_json_object__of_what_is_no_document_is_none(name: str) -> None:
    assert json_object(BAD_DOCUMENTS[name]) is None
    assert unsealed(BAD_DOCUMENTS[name]) is None


def test_json_object__of_lists_without_end_is_none_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_LISTS", 1_000)
    assert json_object(b'{"a": [' + b"[]," * 1_000 + b"0]}") is None
    assert json_object(b'{"a": [' + b"[]," * 900 + b"0]}") is not None


def test_json_object__as_deep_as_a_document_may_be_is_read() -> None:
    tree: object = 1
    for _ in range(documents.MOST_LEVELS):
        tree = {"a": tree}
    assert json_object(json.dumps(tree).encode()) == tree


def test_sealed__is_read_back() -> None:
    assert unsealed(sealed({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}


def test_storage__reads_no_more_of_a_document_than_one_may_have(tmp_path: Path) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(2**40)  # no such space is taken
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = open_storage(str(tmp_path)).read("run.json")
    assert len(content) == documents.LARGEST_BYTES + 1
    assert json_object(content) is None
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 4 * documents.LARGEST_BYTES

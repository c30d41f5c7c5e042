"""Tables and run directories are data: nothing in them is unpickled, evaluated or run."""

from __future__ import annotations

import ast
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dvspark
from dvspark.engine.index.train_index import mapped_array
from dvspark.errors import ComputeError, ConfigError, OutputConflictError
from dvspark.run.change.change import parent_record, parent_totals
from dvspark.runs.ledger import SCALARS, Ledger, arrays_of, digest, partial_of, read_arrays, write_arrays
from dvspark.schemas import Partial, Wave
from dvspark.tables.sinks.write import published_record, refuse_conflict
from dvspark.tables.storage import Storage, open_storage

SOURCES = sorted(Path(dvspark.__file__).parent.rglob("*.py"))
# Each runs what a file says.
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {"unsafe_load", "full_load", "load_all", "Loader", "UnsafeLoader", "FullLoader", "read_pickle"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.name}:{getattr(node, 'lineno', 0)}", node


def test_package__calls_nothing_that_runs_a_file() -> None:
    found = []
    for place, node in _nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(place)
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_ATTRIBUTES:
            found.append(place)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "yaml.load",
            "np.loadtxt",
            "os.system",
            "os.popen",
        ):
            found.append(place)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [place for name in names if name.partition(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.keyword) and node.arg == "shell":
            found.append(place)
    assert len(SOURCES) > 100
    assert found == []


def test_package__loads_arrays_without_objects() -> None:
    loads = [
        (place, node) for place, node in _nodes() if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load"
    ]
    assert len(loads) > 5
    for place, node in loads:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert given.get("allow_pickle") == "False", place


def _planted_npz(planted: Planted, name: str) -> bytes:
    content = io.BytesIO()
    arrays: dict[str, Any] = {key: np.array(0) for key in SCALARS} | {
        "value": np.zeros(1),
        "value_squared": np.zeros(1),
    }
    np.savez(content, **{**arrays, name: np.array([planted], object)})
    return content.getvalue()


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    """What would make a folder; there is none at the end."""
    planted = Planted(tmp_path / "made")
    yield planted
    assert not planted.path.exists()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "out"))


@pytest.mark.parametrize("name", ["value", "value_squared", "row_bounds", "n_validation", "utility"])
def test_read_arrays__refuses_an_object(planted: Planted, name: str) -> None:
    with pytest.raises(ComputeError, match="of object"):
        partial_of(read_arrays(_planted_npz(planted, name)))


GOOD = write_arrays(arrays_of(Partial.zeros(3)))


@pytest.mark.parametrize(
    "content", [b"", b"PK", GOOD[:-30], GOOD[:40], b"\x80\x04N.", b"\x93NUMPY", GOOD[:200] + b"\xff" * 90 + GOOD[290:]]
)
def test_read_arrays__refuses_what_is_damaged(content: bytes) -> None:
    with pytest.raises(ComputeError, match="the numbers it wrote"):
        partial_of(read_arrays(content))


def test_read_arrays__refuses_a_pickle(planted: Planted) -> None:
    with pytest.raises(ComputeError):
        partial_of(read_arrays(pickle.dumps(planted)))


def test_mapped_array__refuses_an_object(planted: Planted, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([planted], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Array can't be memory-mapped"):
        mapped_array(tmp_path, "x")


DAMAGED = [b"", b"{", b"[]", b"7", b"\x80\x04N.", b"[" * 100_000, b'{"run_id": 1}']


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:9]))
def test_parent_record__refuses_what_is_no_record(storage: Storage, content: bytes) -> None:
    storage.write("runs/run/run.json", content)
    with pytest.raises(ConfigError, match="another file"):
        parent_record(storage, "run")


@pytest.mark.parametrize("run_id", ["..", "../../etc", "a/b", "", "/etc"])
def test_parent_record__stays_in_the_folder_of_runs(storage: Storage, run_id: str) -> None:
    with pytest.raises(ConfigError, match="run to change"):
        parent_record(storage, run_id)


def test_parent_totals__refuses_an_object(storage: Storage, planted: Planted) -> None:
    content = _planted_npz(planted, "value")
    storage.write("runs/run/totals.npz", content)
    with pytest.raises(ComputeError):
        parent_totals(storage, {"run_id": "run", "totals_sha256": digest(content)})


def test_parent_totals__refuses_what_the_record_does_not_know(storage: Storage) -> None:
    storage.write("runs/run/totals.npz", write_arrays(arrays_of(Partial.zeros(4))))
    with pytest.raises(ConfigError, match="a damaged file, or another run's"):
        parent_totals(storage, {"run_id": "run", "totals_sha256": digest(GOOD)})


@pytest.mark.parametrize("content", DAMAGED[:-1], ids=lambda content: repr(content[:9]))
def test_published_record__refuses_what_is_no_record(storage: Storage, content: bytes) -> None:
    storage.write("runs/run/run.json", content)
    with pytest.raises(OutputConflictError, match="a damaged file"):
        published_record(storage, "run")


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:9]))
def test_ledger__a_damaged_wave_is_done_again_and_a_damaged_beginning_refused(storage: Storage, content: bytes) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    ledger.commit(0, Wave(0, {0: 3}, Partial.zeros(3), np.zeros((1, 2))))
    storage.write(f"{ledger.folder}/wave-00000.json", content)
    assert list(ledger.waves()) == []
    storage.write(f"{ledger.folder}/run.json", content)
    with pytest.raises(OutputConflictError, match="a damaged file"):
        ledger.begin()


def test_ledger__a_wave_with_a_changed_digit_or_without_totals_is_done_again(storage: Storage) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    ledger.commit(0, Wave(0, {0: 3, 10: 4, 2: 5}, Partial.zeros(3), np.zeros((3, 2))))
    (found,) = ledger.waves()
    assert found.chunk_rows == {0: 3, 10: 4, 2: 5}
    name = f"{ledger.folder}/wave-00000.json"
    storage.write(name, storage.read(name).replace(b'"10": 4', b'"10": 5'))
    assert list(ledger.waves()) == []
    ledger.commit(0, found)
    storage.remove_file(name.replace(".json", ".npz"))
    assert list(ledger.waves()) == []


def test_refuse_conflict__a_record_with_nothing_to_tell_is_damaged(storage: Storage) -> None:
    storage.write("runs/run/run.json", b'{"run_id": "run", "fingerprint": "abc", "inputs": {"train": {"n_rows": 1}}}')
    with pytest.raises(
        OutputConflictError, match=r"one without inputs\.n_validation, method, findings, outputs, values_sha256"
    ):
        refuse_conflict(storage, "run", "abc")

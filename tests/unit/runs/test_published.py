"""The record of a published run: whoever goes on from it finds it whole, or learns what lies in its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dvspark.errors import ConfigError
from dvspark.runs.documents import sealed
from dvspark.runs.published import record_of
from dvspark.tables.storage import Storage, open_storage

USED = {"fingerprint": str, "method.name": str}
RECORD = {"run_id": "a", "fingerprint": "f", "method": {"name": "knn_shapley"}}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


def _publish(storage: Storage, content: bytes) -> None:
    storage.write("runs/a/run.json", content)


def test_record_of__gives_what_was_written(storage: Storage) -> None:
    _publish(storage, sealed(RECORD))
    assert record_of(storage, "a", USED) == (RECORD, "")


@pytest.mark.parametrize(
    ("content", "instead"),
    [
        (json.dumps(RECORD).encode(), "another file, or one that was changed"),
        (sealed(RECORD).replace(b"knn_shapley", b"knn_banzhaf"), "another file, or one that was changed"),
        (sealed({"run_id": "a", "fingerprint": "f"}), "another file, without method.name"),
        (sealed({**RECORD, "run_id": "b"}), "that of run b"),
        (sealed({key: told for key, told in RECORD.items() if key != "run_id"}), "that of run None"),
    ],
    ids=["unsealed", "changed", "entry missing", "of another run", "of no run"],
)
def test_record_of__tells_what_lies_in_its_place(storage: Storage, content: bytes, instead: str) -> None:
    _publish(storage, content)
    assert record_of(storage, "a", USED) == (None, instead)


def test_record_of__an_id_that_names_no_folder_is_refused(storage: Storage) -> None:
    with pytest.raises(ConfigError, match="run to change"):
        record_of(storage, "../a", USED, asked="run to change")


def test_record_of__a_run_that_is_not_published_is_refused_with_the_file_as_it_is_shown(storage: Storage) -> None:
    with pytest.raises(ConfigError, match=r"a published run with /there/runs/a/run\.json"):
        record_of(storage, "a", USED, shown=lambda name: f"/there/{name}")


def test_record_of__a_record_that_cannot_be_read_is_refused(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "runs/a/run.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="that can be read"):
        record_of(storage, "a", USED)

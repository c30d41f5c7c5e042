"""Reading: a file that another process removes meanwhile is one that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dvspark.runs.files import read_if_there
from dvspark.runs.latest import LATEST, latest_run
from dvspark.runs.ledger import LEDGERS, Ledger, kept_indexes
from dvspark.tables.sinks.places import run_places
from dvspark.tables.sinks.write import published_record
from dvspark.tables.storage import Storage, open_storage

RUN = "runs/r/run.json"


class FilesGo(Storage):
    """A folder in which another process removes each file in the moment after somebody has seen that it is there."""

    def exists(self, name: str) -> bool:
        found = super().exists(name)
        if found and (path := Path(self.path(name))).is_file():
            path.unlink()
        return found


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    plain = open_storage(str(tmp_path))
    for name in (RUN, LATEST, f"{LEDGERS}/run_id=r/index.json"):
        plain.write(name, b"{}")
    return FilesGo(plain.uri, plain.root, plain.file_system)


READERS: dict[str, Callable[[Storage], object]] = {
    "index of any run": lambda storage: [*kept_indexes(storage, ["run_id=r"])],
    "index": lambda storage: Ledger(storage, "r", "f").index(),
    "latest": latest_run,
    "places": lambda storage: run_places(storage, "r"),
}


@pytest.mark.parametrize("what", READERS)
def test_reading__what_goes_meanwhile_is_not_there(storage: Storage, what: str) -> None:
    assert not READERS[what](storage)


def test_reading__documents_that_are_there_are_read(storage: Storage) -> None:
    """They are looked for by reading, so none is taken for absent."""
    assert published_record(storage, "r") == {}
    assert read_if_there(storage, RUN) == b"{}"
    assert read_if_there(storage, "runs/none/run.json") is None
    assert read_if_there(storage, f"{RUN}/none") is None

"""The file that names the latest run: whole or as it was, and nothing that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dvspark.runs.identity import run_id_problems
from dvspark.runs.latest import LATEST, latest_run, repair_latest, write_latest
from dvspark.tables.storage import Storage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


def put(storage: Storage, run_id: str, published: str | None = None) -> None:
    storage.write_text(f"runs/{run_id}/run.json", "{}")
    write_latest(storage, "_staging", run_id, has_report=True, published=published)


def record(run_id: str, created: str, **outputs: str) -> dict[str, Any]:
    return {"run_id": run_id, "created": created, "outputs": outputs}


def test_latest__names_the_last_run_that_was_put_there_with_its_record_and_report(storage: Storage) -> None:
    assert latest_run(storage) is None
    put(storage, "first")
    put(storage, "second", "2026-01-31T12:00:00.500000Z")
    assert latest_run(storage) == {
        "run_id": "second",
        "published": "2026-01-31T12:00:00.500000Z",
        "record": "runs/second/run.json",
        "report": "runs/second/report.html",
    }
    assert storage.folders("runs") == ["first", "second"] or storage.folders("runs") == ["second", "first"]
    assert storage.names("_staging") == []


def test_latest__a_run_that_was_removed_is_not_named(storage: Storage) -> None:
    put(storage, "first")
    storage.remove("runs/first")
    assert latest_run(storage) is None


@pytest.mark.parametrize("how", ["shortened", "edited", "elsewhere", "no object"])
def test_latest__that_is_damaged_names_none(storage: Storage, how: str) -> None:
    put(storage, "first")
    content = storage.read(LATEST)
    damaged = {
        "shortened": content[:-3],
        "edited": content.replace(b"first", b"other"),
        "elsewhere": json.dumps({"run_id": "../first", "published": "2026-01-31T12:00:00Z"}).encode(),
        "no object": b"[]",
    }[how]
    storage.write_text("runs/other/run.json", "{}")
    storage.write(LATEST, damaged)
    assert latest_run(storage) is None


def test_repair__names_a_run_that_was_published_after_the_one_that_is_named(storage: Storage) -> None:
    storage.write_text("runs/second/run.json", "{}")
    put(storage, "first", "2026-01-31T12:00:00.500000Z")
    repair_latest(storage, record("second", "2026-01-31T12:00:00Z"))  # made before the first was published
    assert (latest_run(storage) or {})["run_id"] == "first"
    repair_latest(storage, record("second", "2026-01-31T12:00:01Z", report="somewhere"))
    found = latest_run(storage) or {}
    assert (found["run_id"], found["report"]) == ("second", "runs/second/report.html")
    repair_latest(storage, record("first", "2026-01-31T11:59:00Z"))
    assert (latest_run(storage) or {})["run_id"] == "second"
    assert [name for name in storage.folders() if name not in ("runs", "_staging")] == []


@pytest.mark.parametrize("was", ["removed", "damaged", "never there"])
def test_repair__names_a_run_where_none_is_named(storage: Storage, was: str) -> None:
    storage.write_text("runs/second/run.json", "{}")
    if was != "never there":
        put(storage, "first")
        storage.remove("runs/first")
    if was == "damaged":
        storage.write(LATEST, b"{")
    repair_latest(storage, record("second", "2020-01-31T12:00:00Z"))
    assert latest_run(storage) == {
        "run_id": "second",
        "published": "2020-01-31T12:00:00Z",
        "record": "runs/second/run.json",
        "report": None,
    }


@pytest.mark.parametrize("name", ["latest", "Latest", "latest.json", "LATEST.json"])
def test_run_id__is_not_the_name_of_the_file(name: str) -> None:
    assert [problem.where for problem in run_id_problems(name)] == ["run_id"]

"""Runs of one output at once, without Spark: what one finds while another one is at work there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from frames import draw_data, write_parquet

from dvspark.cli import main
from dvspark.run import output
from dvspark.runs.latest import LATEST
from dvspark.runs.leases import FOLDER, held
from dvspark.tables.sinks import write
from dvspark.tables.storage import open_storage

DATA = draw_data(20, 8, seed=7, id_type="string", label_type="string")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run, and what it has published in ``tmp_path / out``."""
    monkeypatch.setenv("DVSPARK_LOOPS", "numpy")
    tables = [write_parquet(tmp_path / f"{side}.parquet", getattr(DATA, side)) for side in ("train", "validation")]
    words = ["value", "--train", tables[0], "--validation", tables[1], "--output", str(tmp_path / "out")]
    words += ["--k", "3", "--run_id", "run", "--engine", "local", "--report", "false"]
    assert main(words) == 0
    return words


@contextmanager
def _values_away(out: Path) -> Iterator[None]:
    """Have the values away, as they are for a moment while a forced run puts its own in their place."""
    shutil.move(out / "values", out / "former")
    try:
        yield
    finally:
        shutil.move(out / "former", out / "values")


@pytest.mark.parametrize("is_done", [True, False])
def test_same_run__while_a_forced_one_replaces_it_is_told_so_or_done(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_done: bool
) -> None:
    """``is_done``: the forced run has ended when the same run looks again."""
    out, looked, require = tmp_path / "out", list[str](), output.require_values
    forced = held(open_storage(str(out)), "run")

    def while_replaced(*args: Any) -> None:
        looked.append("values")
        if len(looked) > 1:
            require(*args)
            return
        forced.__enter__()
        try:
            with _values_away(out):
                require(*args)
        finally:
            if is_done:
                forced.__exit__(None, None, None)

    monkeypatch.setattr(output, "require_values", while_replaced)
    capsys.readouterr()
    assert main(words) == (0 if is_done else 4)
    assert ("one process at a time that works on it" in capsys.readouterr().err) is not is_done
    if not is_done:
        forced.__exit__(None, None, None)


def test_repair__of_the_latest_run_is_done_by_one_process_at_a_time(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that holds the run removes what it takes for left over, such as a file staged for the repair."""
    out, repair, seen = tmp_path / "out", output.repair_latest, list[bool]()
    (out / LATEST).unlink()

    def looked_at(*args: Any) -> None:
        seen.append(any((out / FOLDER).glob("run.*.json")))
        repair(*args)

    monkeypatch.setattr(output, "repair_latest", looked_at)
    assert main(words) == 0
    assert seen == [True]
    assert json.loads((out / LATEST).read_text())["run_id"] == "run"


def test_publishing__where_another_run_has_made_a_table_of_the_folder_meanwhile_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs begin in one output that is empty, one as Parquet and one as Delta; this one ends last."""
    out, publish = tmp_path / "new", write.publish

    def late(*args: Any, **options: Any) -> None:
        (out / "values" / "_delta_log").mkdir(parents=True)
        publish(*args, **options)

    monkeypatch.setattr(write, "publish", late)
    words[words.index("--output") + 1] = str(out)
    assert main(words) == 4
    assert "values as parquet" in capsys.readouterr().err
    assert not (out / "runs" / "run" / "run.json").exists()
    assert [path.name for path in (out / "values").iterdir()] == ["_delta_log"]

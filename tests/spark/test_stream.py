"""Validation rows that arrive file by file: the values of all of them, each counted once, whatever is killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
import pytest
from frames import Side, draw_data, write_parquet

import dvspark
from dvspark.errors import ComputeError, ConfigError, InputError
from dvspark.run import pipeline

pytestmark = pytest.mark.spark

Command = Callable[..., int]

DATA = draw_data(50, 20, seed=73, id_type="string", label_type="string")
STEPS = (slice(0, 8), slice(8, 13), slice(13, 20))


class Stream:
    """A stream's tables and output, and a way to start it for what has arrived."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.command, self.folder, self.out = command, folder, folder / "out"
        write_parquet(folder / "train.parquet", DATA.train)

    def arrive(self, name: str, rows: Side) -> None:
        # Renamed into place: a file appears as a whole.
        path = Path(write_parquet(self.folder / f"{name}.tmp", rows))
        (self.folder / "arriving").mkdir(exist_ok=True)
        path.rename(self.folder / "arriving" / f"{name}.parquet")

    def start(self, *more: Any) -> int:
        tables = ["--train", self.folder / "train.parquet", "--validation", self.folder / "arriving"]
        words = ["--output", self.out, "--run_id", "feed", "--k", 3, "--report", "false"]
        return self.command("stream", *tables, *words, "--stream.available_now", "true", *more)

    def runs(self) -> list[str]:
        return sorted(path.parent.name for path in self.out.glob("runs/*/run.json"))

    def record(self, run_id: str) -> dict[str, Any]:
        return json.loads((self.out / "runs" / run_id / "run.json").read_text())

    def check(self, run_id: str, n_rows: int) -> None:
        """Check that a run's values are those of the first rows, valued at once."""
        values = pyarrow.dataset.dataset(self.out / "values" / f"run_id={run_id}").to_table().to_pylist()
        found = {row["id"]: row["value"] for row in values}
        some = DATA.validation.take(slice(0, n_rows))
        local = dvspark.value_arrays(
            DATA.train.x, DATA.train.labels, some.x, some.labels, train_ids=DATA.train.ids, k=3
        )
        np.testing.assert_allclose([found[i] for i in DATA.train.ids], local, rtol=0, atol=1e-12)
        rested_on = pyarrow.dataset.dataset(self.out / "validation_rows" / f"run_id={run_id}").to_table()["id"]
        assert sorted(rested_on.to_pylist()) == sorted(some.ids)
        assert self.record(run_id)["inputs"]["n_validation"] == n_rows


@pytest.fixture
def stream(command: Command, tmp_path: Path) -> Stream:
    return Stream(command, tmp_path)


@pytest.mark.long
def test_stream__killed_after_publishing_counts_every_row_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.arrive("0", DATA.validation.take(STEPS[0]))
    assert stream.start() == 0
    stream.check("feed-000000", 8)
    stream.arrive("1", DATA.validation.take(STEPS[1]))
    run = pipeline.run

    def killed(*arguments: Any, **given: Any) -> None:
        run(*arguments, **given)
        raise MemoryError("killed between publishing and the checkpoint")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run", killed)
        assert stream.start() == 1
    published = stream.record("feed-000001")
    stream.arrive("2", DATA.validation.take(STEPS[2]))
    capsys.readouterr()
    assert stream.start() == 0
    assert "already done: feed-000001" in capsys.readouterr().err
    assert stream.record("feed-000001") == published
    assert stream.runs() == ["feed-000000", "feed-000001", "feed-000002"]
    stream.check("feed-000001", 13)
    stream.check("feed-000002", 20)
    assert stream.record("feed-000002")["parent"]["run_id"] == "feed-000001"
    assert stream.start() == 0  # nothing has arrived since
    assert len(stream.runs()) == 3
    assert "the latest run is feed-000002" in capsys.readouterr().out


def test_stream__what_cannot_be_read_is_told_without_a_trace(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.arrive("0", DATA.validation.take(STEPS[0]))
    assert stream.start() == 0
    rows = pyarrow.parquet.read_table(stream.folder / "arriving" / "0.parquet")
    column = rows.schema.get_field_index("embedding")
    doubles = rows["embedding"].cast(pyarrow.list_(pyarrow.float64()))
    wide = stream.folder / "arriving" / "1.parquet"
    pyarrow.parquet.write_table(rows.set_column(column, "embedding", doubles), wide)
    assert stream.start() == InputError.exit_code
    assert "cast it: rows are told apart by their id, embedding and label" in capsys.readouterr().err
    wide.unlink()
    (stream.out / "checkpoints" / "feed" / "offsets" / "1").write_text("no offset")
    capsys.readouterr()
    assert stream.start() == ComputeError.exit_code
    assert "checkpoints/feed" in capsys.readouterr().err
    assert stream.runs() == ["feed-000000"]


@pytest.mark.long
def test_stream__rows_delivered_again_are_refused_or_set_aside(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.arrive("0", DATA.validation.take(STEPS[0]))
    assert stream.start() == 0
    stream.arrive("0-again", DATA.validation.take(slice(0, 13)))
    assert stream.start() == InputError.exit_code
    assert "8 rows that are valued already" in capsys.readouterr().err
    assert stream.runs() == ["feed-000000"]
    # The way out: the same batch, its known rows set aside.
    assert stream.start("--on_bad_row", "reject") == 0
    stream.check("feed-000001", 13)
    rejected = pyarrow.dataset.dataset(stream.out / "rejected" / "run_id=feed-000001").to_table().to_pylist()
    assert sorted(row["id"] for row in rejected) == sorted(DATA.validation.ids[:8])
    assert {row["reason"] for row in rejected} == {"valued already in feed-000000"}
    assert stream.record("feed-000001")["inputs"]["validation"]["n_rejected"] == 8
    # Files without any new row, and without rows.
    stream.arrive("1-again", DATA.validation.take(slice(8, 13)))
    stream.arrive("empty", DATA.validation.take(slice(0, 0)))
    assert stream.start("--on_bad_row", "reject") == 0
    assert len(stream.runs()) == 2


def test_stream__of_a_file_is_refused(stream: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    """It ended with a trace of Spark."""
    assert stream.start("--validation", stream.folder / "train.parquet") == InputError.exit_code
    assert "expected: a folder into which files come" in capsys.readouterr().err


def test_stream__of_no_arriving_table_is_refused(stream: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream.start() == InputError.exit_code  # no folder yet, and no schema
    assert "a table that exists" in capsys.readouterr().err
    (stream.folder / "arriving").mkdir()
    assert stream.start("--stream.schema_ddl", "id string, embedding array<float>, label string") == 0
    assert stream.runs() == []
    assert stream.start("--run_id", "../up") == ConfigError.exit_code
    train = ("--train", stream.folder / "train.parquet", "--output", stream.out)
    assert stream.command("stream", *train, "--self_validation", "true") == ConfigError.exit_code
    arriving = ("--validation", stream.folder / "arriving", "--method", "chg_shapley")
    assert stream.command("stream", *train, *arriving) == ConfigError.exit_code
    assert "add up point by point" in capsys.readouterr().err

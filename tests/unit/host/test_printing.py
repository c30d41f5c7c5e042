"""Standard streams that nobody reads, or that were closed before the start: real commands, no trace, no lost file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dvspark

COMMAND = [sys.executable, "-m", "dvspark"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(dvspark.__file__).parents[1])}
# The shell closes a stream for good; `exec` leaves no shell in between.
CLOSED = {"stdout": ">&-", "stderr": "2>&-", "all": "<&- >&- 2>&-"}


@pytest.fixture
def value(tmp_path: Path) -> list[str]:
    """The words of a small job without Spark."""
    rng = np.random.default_rng(0)
    for side, n_rows in (("train", 40), ("validation", 20)):
        rows = {
            "id": np.arange(n_rows),
            "embedding": rng.normal(size=(n_rows, 3)).tolist(),
            "label": [0, 1] * (n_rows // 2),
        }
        pq.write_table(pa.table(rows), tmp_path / f"{side}.parquet")
    tables = [f"--{side}={tmp_path / side}.parquet" for side in ("train", "validation")]
    return ["value", *tables, "--output", str(tmp_path / "out"), "--engine", "local", "--report", "false"]


def published(value: list[str]) -> bool:
    (run,) = (Path(value[4]) / "runs").glob("*/run.json")
    return run.stat().st_size > 0


def unread(words: list[str], *, stderr_too: bool = False) -> tuple[int, str]:
    """Return the exit code and standard error of a command whose reader has gone before it prints."""
    reading, writing = os.pipe()
    os.close(reading)
    errors = writing if stderr_too else subprocess.PIPE
    command = [*COMMAND, *words]
    ended = subprocess.run(command, stdout=writing, stderr=errors, env=ENVIRONMENT, timeout=120, check=False)
    os.close(writing)
    return ended.returncode, "" if stderr_too else ended.stderr.decode()


@pytest.mark.long
@pytest.mark.parametrize("as_json", [False, True])
def test_value__whose_reader_has_gone_publishes_and_leaves_no_trace(value: list[str], as_json: bool) -> None:
    code, errors = unread([*value, *(["--json"] if as_json else [])])
    assert (code, published(value)) == (0, True)
    assert "Traceback" not in errors
    assert "Broken" not in errors


@pytest.mark.long
def test_value__whose_log_nobody_reads_publishes(value: list[str]) -> None:
    assert unread(value, stderr_too=True)[0] == 0
    assert published(value)


@pytest.mark.long
@pytest.mark.parametrize("closed", CLOSED)
def test_value__with_closed_streams_publishes(value: list[str], closed: str) -> None:
    shell = ["sh", "-c", f'exec "$@" {CLOSED[closed]}', "sh", *COMMAND, *value]
    assert subprocess.run(shell, env=ENVIRONMENT, capture_output=True, timeout=120, check=False).returncode == 0
    assert published(value)


@pytest.mark.long
def test_demo__whose_reader_has_gone_values_all_the_same(tmp_path: Path) -> None:
    code, errors = unread(["demo", "--output", str(tmp_path / "out")])
    assert code == 0
    assert "Traceback" not in errors
    assert list((tmp_path / "out" / "runs").glob("*/run.json"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize("which", ["--version", "value"])
def test_command__whose_output_finds_no_space_says_so_without_a_trace(value: list[str], which: str) -> None:
    words = value if which == "value" else [which]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, timeout=120, check=False
        )
    said = ended.stderr.decode()
    assert (ended.returncode, "Traceback" in said, "Exception ignored" in said) == (2, False, False)
    assert "No space left on device" in said
    assert which != "value" or published(value)

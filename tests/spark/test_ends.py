"""Ends and deaths of real processes: the exit code, one message without a trace, no process and no folder left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from frames import draw_data, write_parquet

pytestmark = pytest.mark.spark

DATA = draw_data(60, 20, seed=71)
HELD = Path(__file__).with_name("held.py")
# A job has taken minutes on a machine under load; a wait that ends by it is a failure.
WAIT_SECONDS = 600
# Every run's own folder goes; what a user keeps from run to run stays.
KEPT = ("dvspark-cache-", "dvspark-numba-", "dvspark-warehouse-", "hsperfdata_")
TRACES = ("Traceback", "\tat ", "Exception", "py4j", "ignored")
# PySpark's own daemon says so when a worker is cut off while it flushes; seen twice, on a machine under load.
CUT_OFF = re.compile(r'Traceback .*\n(  File ".*pyspark/daemon\.py", .*\n(    .*\n)*)+BrokenPipeError: .*\n')


@dataclass
class End:
    """How a command ended: its exit code, what its last message says, and the run it was at."""

    exit_code: int
    message: str
    output: Path


@pytest.fixture
def ended(java_home: Path, tmp_path: Path) -> Callable[..., End]:
    """Return what runs a job, lets something be done to it where it holds, and looks at what is left of it."""
    for side in ("train", "validation"):
        write_parquet(tmp_path / f"{side}.parquet", getattr(DATA, side))
    (tmp_path / "temporary").mkdir()

    def run(place: str, strike: Callable[[psutil.Process], None], *words: str) -> End:
        tables = [word for side in ("train", "validation") for word in (f"--{side}", f"{tmp_path / side}.parquet")]
        given = [*tables, "--output", str(tmp_path / "out"), "--run_id", "run", "--k", "3", "--report", "false"]
        command = [
            sys.executable,
            str(HELD),
            place,
            str(tmp_path),
            "value",
            *given,
            "--spark.master",
            "local[1]",
            *words,
        ]
        environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "DVSPARK_LOOPS": "numpy"}
        environment["JAVA_HOME"] = str(java_home)
        # Under nohup these tests would hand on that hang-ups are ignored, as commands then do.
        hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with (tmp_path / "said").open("w") as said:
            process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        signal.signal(signal.SIGHUP, hang_up)
        processes = [psutil.Process(process.pid)]
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            while process.poll() is None and not (tmp_path / "held").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            if (tmp_path / "held").exists():
                processes += processes[0].children(recursive=True)
                strike(processes[0])
            exit_code = process.wait(WAIT_SECONDS)
            _, alive = psutil.wait_procs(processes[1:], 5)
            assert alive == []
        finally:
            for left in processes:
                if left.is_running():
                    left.kill()
        text = CUT_OFF.sub("", (tmp_path / "said").read_text())
        assert [trace for trace in TRACES if trace in text] == [], text
        left = [path.name for path in (tmp_path / "temporary").iterdir() if not path.name.startswith(KEPT)]
        assert left == []
        last = json.loads([line for line in text.splitlines() if '"level": "error"' in line][-1])
        assert last["exit_code"] == exit_code
        return End(exit_code, last["message"], tmp_path / "out")

    return run


def _signals(*numbers: signal.Signals) -> Callable[[psutil.Process], None]:
    def strike(process: psutil.Process) -> None:
        for number in numbers:
            process.send_signal(number)

    return strike


def _kill_java(process: psutil.Process) -> None:
    (java,) = [child for child in process.children() if "java" in child.name()]
    java.kill()


def test_end__while_java_starts(ended: Callable[..., End]) -> None:
    end = ended("java", _signals(signal.SIGTERM))
    assert end.exit_code == 143
    assert not end.output.exists()


@pytest.mark.long
def test_end__while_tasks_run_and_again_while_it_ends(ended: Callable[..., End]) -> None:
    end = ended("task", _signals(signal.SIGINT, signal.SIGTERM, signal.SIGINT))
    assert end.exit_code == 130
    assert [path.name for path in end.output.iterdir()] == ["ledger"]


@pytest.mark.long
def test_end__after_publishing_leaves_what_is_published(ended: Callable[..., End]) -> None:
    end = ended("published", _signals(signal.SIGHUP))
    assert end.exit_code == 129
    assert len(pq.read_table(end.output / "values" / "run_id=run")) == len(DATA.train)


@pytest.mark.long
def test_death__of_java_is_told_with_what_to_do(ended: Callable[..., End]) -> None:
    end = ended("task", _kill_java)
    assert end.exit_code == 5
    assert "it ended by signal SIGKILL" in end.message
    assert "spark.driver.memory" in end.message


@pytest.mark.parametrize(
    ("memory", "says"), [("900t", "it ended at once: "), ("64m", "System memory")], ids=["java", "spark"]
)
def test_death__of_java_that_gets_no_memory_is_told(ended: Callable[..., End], memory: str, says: str) -> None:
    end = ended("nowhere", lambda _: None, "--spark.conf.spark.driver.memory", memory)
    assert end.exit_code == 2
    assert says in end.message
    assert "spark." in end.message

"""Epochs in the ledger: a course, and a job without Spark, that were stopped go on with the same bits."""

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
from frames import draw_data, write_parquet

from dvspark.kernels.gradients.course import Course, Training, Watched
from dvspark.kernels.gradients.softmax_head import untrained_head
from dvspark.methods.kinds.sums import ArrayRows
from dvspark.runs.ledger import Ledger, read_arrays, write_arrays
from dvspark.tables.storage import open_storage

DATA = draw_data(60, 40, seed=7, id_type="string", label_type="string")
# Every epoch is kept.
PROGRAM = """
import sys
import dvspark.runs.epochs_kept
dvspark.runs.epochs_kept.KEEP_SECONDS = 0.0
from dvspark.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("batch_rows", [None, 300])
@pytest.mark.parametrize("n_done", [1, 3, 5])
def test_course__goes_on_from_arrays_with_the_same_bits(n_done: int, batch_rows: int | None) -> None:
    rng = np.random.default_rng(1)
    x, codes = rng.normal(size=(1_000, 5)), rng.integers(0, 4, 1_000).astype(np.int32)
    rows, training, kept = ArrayRows((x, codes)), Training(5, 1.0, batch_rows, seed=2), list[dict[str, Any]]()
    course = Course(untrained_head(x, 4), training, "chg", True, len(x), rows.run, None, rows.some)
    whole = course.valued(Watched(keep=lambda state: kept.append(read_arrays(write_arrays(state.arrays())))))
    seen = list[int]()
    again = course.valued(Watched(report=lambda done, _: seen.append(done), kept=kept[n_done - 1]))
    assert seen == list(range(n_done + 1, 6))
    assert again.values.tobytes() == whole.values.tobytes()
    assert (again.utility, again.size, again.losses) == (whole.utility, whole.size, whole.losses)
    for head in (again.head, whole.head):
        assert head is not None
        assert (head.n_steps, head.loss) == (4, whole.losses[-1])
        assert head.weights.tobytes() == kept[4]["asked.valued_at"].tobytes()


def test_ledger__has_the_last_epochs_or_none(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    ledger = Ledger(storage, "run", "fingerprint")
    ledger.begin()
    assert ledger.epochs() is None
    ledger.keep_epochs(4, {"values": np.zeros(3)})
    ledger.keep_epochs(9, {"values": np.arange(3.0)})
    found = ledger.epochs()
    assert found is not None
    assert found["values"].tolist() == [0.0, 1.0, 2.0]
    files = {path.name for path in (tmp_path / "ledger" / "run_id=run").iterdir()}
    assert files == {"run.json", "epochs.json", "epochs-00009.npz"}
    assert Ledger(storage, "run", "another").epochs() is None
    (tmp_path / "ledger" / "run_id=run" / "epochs-00009.npz").write_bytes(b"damaged")
    assert ledger.epochs() is None


def started(folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """Start a job of 400 epochs."""
    train = write_parquet(folder / "train.parquet", DATA.train)
    validation = write_parquet(folder / "validation.parquet", DATA.validation)
    words = ["--train", train, "--validation", validation, "--output", str(out), "--run_id", "run", "--engine", "local"]
    words += ["--method", "chg_shapley", "--epochs", "400", "--log_format", "json", *more]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "value", *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def done(folder: Path, out: Path, *more: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Run the job; return its log, and the values in id order."""
    with started(folder, out, *more) as process:
        _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    values = pq.read_table(out / "values" / "run_id=run").sort_by("id")["value"]
    return [json.loads(line) for line in said.splitlines()], values.to_numpy()


@pytest.mark.long
def test_job__killed_goes_on_after_its_last_epoch_with_the_same_bits(tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    _, expected = done(tmp_path, alone)
    with started(tmp_path, killed) as process:
        while process.poll() is None and not list(killed.glob("ledger/*/epochs.json")):
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (killed / "values").exists()
    log, values = done(tmp_path, killed)
    assert any("epochs were done before" in line["message"] for line in log)
    assert values.tobytes() == expected.tobytes()
    records = [json.loads((out / "runs" / "run" / "run.json").read_text()) for out in (alone, killed)]
    assert records[0]["findings"] == records[1]["findings"]
    assert sorted(path.name for path in killed.iterdir()) == ["runs", "values"]

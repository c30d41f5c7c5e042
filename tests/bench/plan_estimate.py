"""Plan: what `dvspark plan` expects against what `dvspark value` takes: `python -m tests.bench.plan_estimate`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.frame import Result, at_most, result, run, say

QUESTION = "Is what `dvspark plan` expects within a factor of 1.5 of the real run?"
METHOD = """\
Both run as commands in local[2], on random rows in Parquet files. CPU seconds are those of the command and of every
process below it, read ten times a second: PySpark's daemon ignores how its workers end, so no parent is told their
CPU time. "load" is what the machine was busy with before the command."""
LARGEST_RATIO = 1.5
# Starting up counts most, then the tables, then the kernel.
SHAPES = [(20_000, 64, 512), (100_000, 256, 512), (300_000, 128, 4_096), (1_500_000, 256, 512)]
TINY_SHAPES = [(300, 8, 20)]
N_LABELS = 10
ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.1


def write_rows(path: Path, n_rows: int, n_features: int, first_id: int) -> None:
    """Write random rows as one Parquet file of row groups of 16 MB or so."""
    rng = np.random.default_rng(first_id)
    group = max(1, 2**22 // n_features)
    schema = pa.schema([("id", pa.int64()), ("embedding", pa.list_(pa.float32())), ("label", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, group):
            n = min(group, n_rows - start)
            x = rng.standard_normal((n, n_features), np.float32).ravel()
            offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_features)
            embedding = pa.ListArray.from_arrays(offsets, pa.array(x))
            ids = pa.array(first_id + start + np.arange(n))
            writer.write_table(pa.table([ids, embedding, pa.array(rng.integers(0, N_LABELS, n))], schema=schema))


def command_seconds(*words: str) -> tuple[float, float, str]:
    """Return the CPU and wall seconds of a command with all it started, and the last line it printed."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dvspark", *words]
    started = time.monotonic()
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) as process:
        seconds: dict[int, float] = {process.pid: 0.0}
        while process.poll() is None:
            add_cpu_seconds(seconds)
            time.sleep(POLL_SECONDS)
        wall = time.monotonic() - started
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit code {process.returncode}")
    return sum(seconds.values()), wall, printed.splitlines()[-1]


def add_cpu_seconds(seconds: dict[int, float]) -> None:
    """Note the CPU seconds so far of the processes in ``seconds``, by pid, and of all that they have started."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    for pid in sorted(stats):  # a parent before its children
        parent, ticks = int(stats[pid][1]), int(stats[pid][11]) + int(stats[pid][12])
        if pid in seconds or parent in seconds:
            seconds[pid] = ticks / os.sysconf("SC_CLK_TCK")


def compare(folder: Path, n: int, d: int, m: int) -> dict[str, Any]:
    """Return one size's expected and measured CPU and wall seconds."""
    write_rows(folder / "train.parquet", n, d, 0)
    write_rows(folder / "validation.parquet", m, d, n)
    tables = ["--train", str(folder / "train.parquet"), "--validation", str(folder / "validation.parquet")]
    words = [*tables, "--output", str(folder / "out"), "--spark.master", "local[2]", "--json"]
    plan = json.loads(command_seconds("plan", *words)[2])
    load = round(os.getloadavg()[0], 1)
    cpu, wall, _ = command_seconds("value", *words)
    return {
        "N": n,
        "D": d,
        "M": m,
        "CPU s expected": plan["estimate"]["core_seconds"],
        "CPU s measured": cpu,
        "wall s expected": plan["estimate"]["wall_seconds"],
        "wall s measured": wall,
        "load": load,
    }


def main(tiny: bool = False) -> Result:
    """Compare every size; about three minutes, and 2 GB on the disk."""
    found = []
    for shape in TINY_SHAPES if tiny else SHAPES:
        say(f"plan: {shape}")
        with tempfile.TemporaryDirectory() as folder:
            found.append(compare(Path(folder), *shape))
    targets = [
        at_most(f"N = {row['N']:,}: {kind}, the larger / the smaller", LARGEST_RATIO, max(pair) / min(pair))
        for row in found
        for kind in ("CPU s", "wall s")
        for pair in [(row[f"{kind} expected"], row[f"{kind} measured"])]
    ]
    return result("plan_estimate", QUESTION, METHOD, targets, {"Expected and measured": found})


if __name__ == "__main__":
    run(main)

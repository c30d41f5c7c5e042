"""Decision 0046: what validate and index take where rows are put in their places while they are checked, and before."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.decisions import print_machine

import pyarrow.parquet as pq  # isort: skip

from dvspark.engine.replicated import ahead
from dvspark.local.session import open_local_session
from dvspark.spark.session import open_session
from tests.bench.jobs import write_tables
from tests.bench.rest_of_job import job_stages, limits_cpu

SIZES = ((400_000, 512, 64), (3_000_000, 64, 64))
SESSIONS = {"local": open_local_session, "spark": lambda: open_session("local[2]", {})}
ROUNDS = 2


def main() -> int:
    """Print CPU seconds of two stages and of a bare read, by turns, after one job that nobody counts."""
    print_machine()
    print(f"{'N':>9}  {'D':>4}  engine  {'':>6}  validate  index  bare read  together / bare read  load")
    for n, d, m in SIZES:
        with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
            write_tables(folder, n, d, m)
            for engine, opened in SESSIONS.items():
                with opened() as session:
                    job_stages(folder, session, f"{engine}-first")
                    for number in range(ROUNDS):
                        for name in ("before", "now"):
                            bare = limits_cpu(folder, d)["bare read"]
                            with _by(name):
                                _, of_stages = job_stages(folder, session, f"{engine}-{number}-{name}")
                            both = of_stages["validate"] + of_stages["index"]
                            figures = f"{of_stages['validate']:8.2f}  {of_stages['index']:5.2f}  {bare:9.2f}"
                            told = f"{n:>9,}  {d:>4}  {engine:6}  {name:>6}  {figures}  {both / bare:20.2f}"
                            print(f"{told}  {os.getloadavg()[0]:4.1f}", flush=True)
                values = [pq.read_table(place / "values") for place in sorted(Path(folder).glob(f"{engine}-*"))]
                assert all(table["value"].equals(values[0]["value"]) for table in values)
    return 0


@contextmanager
def _by(name: str) -> Iterator[None]:
    """Have rows read again for their index while the block runs, if it is ``before``."""
    true = ahead._fits
    ahead._fits = (lambda *_: False) if name == "before" else true  # type: ignore[assignment]
    try:
        yield
    finally:
        ahead._fits = true


if __name__ == "__main__":
    sys.exit(main())

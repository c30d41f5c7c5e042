"""Decision 0055: CPU seconds of values and audit under the sharded plan with bins, and the sha256 of the values.

The commit before takes the same command, with this file put into its checkout.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile

import pyarrow.parquet as pq

from dvspark.spark.session import open_session
from tests.bench.decisions import print_machine
from tests.bench.jobs import CORES, write_tables
from tests.bench.rest_of_job import job_stages

SIZES = {"n": 1_500_000, "d": 128, "m": 512}
SHARDED = {"plan": "sharded", "ranking": "binned"}
# Partials of 1.5 million rows come through the driver's JVM, ten at a time.
MEMORY = {"spark.driver.memory": "4g"}
TURNS = 3


def main() -> int:
    """Print both of each job of a session, the first of which pays for the first use of all parts; three minutes."""
    print_machine()
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, **SIZES)
        with open_session(f"local[{CORES}]", MEMORY) as spark:
            for turn in range(TURNS):
                given = {**SHARDED, "work_dir": f"{folder}/work-{turn}"}
                _, cpu = job_stages(folder, spark, f"out-{turn}", **given)
                values = pq.read_table(f"{folder}/out-{turn}/values").sort_by("id")["value"].combine_chunks()
                bits = hashlib.sha256(values.buffers()[1]).hexdigest()[:16]
                told = ", ".join(f"{stage} {cpu[stage]:.1f}" for stage in ("value", "audit"))
                print(f"job {turn + 1}: {told}; values {bits}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

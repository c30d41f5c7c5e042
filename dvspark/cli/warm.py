"""`dvspark warm`: a job of a few rows, from which Java's class data and compiled loops stay for later jobs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words
from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, Problem
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.run import pipeline
from dvspark.spark.class_data import archive, end_java, writing_archive
from dvspark.spark.java import find_java_home
from dvspark.spark.session import COLLECTOR, DEFAULTS, JAVA_VARIABLES, open_session
from dvspark.spark.starting import require_pyspark

# Enough rows that each stage has some; what Java loads does not depend on their number.
N_TRAIN, N_VALIDATION, N_FEATURES = 400, 100, 8
SAID = """\
wrote {path}, {n_bytes:,} bytes, in {seconds:.0f} s

Sessions that dvspark starts with this Java and this Spark use it from now on. DVSPARK_CLASS_DATA=off turns it off.
"""


def run(words: Sequence[str]) -> int:
    """Write the archive, and say where it is.

    Raises: ConfigError without Java, Spark or a place for the archive, or where a variable names a collector, with
    which sessions use no archive; ComputeError if Java writes none.
    """
    own_words(COMMANDS["warm"], words)
    if named := [name for name in JAVA_VARIABLES if "GC" in os.environ.get(name, "")]:
        hint = "unset it: the archive is for Java's parallel collector, and other collectors start without it"
        raise ConfigError([Problem(name, "no garbage collector", os.environ[name], hint) for name in named])
    require_pyspark()
    begun, java = time.monotonic(), find_java_home()
    write_archive(java, COLLECTOR)
    path = archive(java)
    assert path is not None  # noqa: S101 - it has just been written
    seconds = time.monotonic() - begun
    tell(SAID.format(path=visible(str(path)), n_bytes=path.stat().st_size, seconds=seconds))
    return 0


def write_archive(java_home: Path, more: str = "") -> None:
    """Write the archive of what a small job loads; ``more``: options of the Java that runs it. Raises: as `run`."""
    with writing_archive(java_home) as options:
        try:
            with tempfile.TemporaryDirectory(prefix="dvspark-warm-") as folder:
                _run_job(Path(folder), {DEFAULTS: f"{more} {options}".strip()})
        finally:
            end_java()


def _run_job(folder: Path, conf: dict[str, str]) -> None:
    """Run a job on tables of its own in a session of its own."""
    draw, settings = np.random.default_rng(0), {"output": {"path": str(folder / "output")}}
    for side, n_rows in (("train", N_TRAIN), ("validation", N_VALIDATION)):
        rows = draw.standard_normal((n_rows, N_FEATURES), np.float32)
        ids = [f"{side} {number}" for number in range(n_rows)]
        table = pa.table({"id": ids, "embedding": list(rows), "label": draw.integers(0, 3, n_rows)})
        pq.write_table(table, folder / f"{side}.parquet")
        settings[side] = {"path": str(folder / f"{side}.parquet")}
    config = load_config(None, {**settings, "report": False})
    with open_session("local[2]", conf) as spark:
        pipeline.run(config, spark)

"""Cluster: how many tasks run at once, in all and on one host, and what memory a host has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dvspark.engine.local_chunks import LocalChunks
from dvspark.engine.planning.plan import Hosts, this_host_bytes
from dvspark.local.rows import LocalRows
from dvspark.local.session import LocalSession
from dvspark.spark.session import is_connect, is_same_host
from dvspark.units import parse_bytes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame
    from dvspark.local.session import Session

# As many rows as no cluster has cores: each partition of the probe gets some.
PROBE_ROWS = 2**16


def session_of(rows: Frame | Chunked) -> Session:
    """Return the session that the rows or chunks belong to."""
    return rows.session if isinstance(rows, LocalRows | LocalChunks) else rows.sparkSession


def read_hosts(session: Session, host_memory: str | None) -> Hosts:
    """Return the hosts of the session; ``host_memory`` is a size such as "64g", None: that of this machine.

    Cost: nothing in a local or a classic session, one small query on Spark Connect.
    """
    memory = None if host_memory is None else parse_bytes(host_memory)
    if isinstance(session, LocalSession):
        return Hosts(session.n_tasks, session.n_tasks, memory or this_host_bytes())
    spark = session
    cores_a_task = int(spark.conf.get("spark.task.cpus", "") or 1)
    n_tasks = max(1, _parallelism(spark) // cores_a_task)
    cores_here = int(spark.conf.get("spark.executor.cores", "") or os.cpu_count() or 1)
    n_tasks_here = n_tasks if is_same_host(spark) else max(1, min(n_tasks, cores_here // cores_a_task))
    return Hosts(n_tasks, n_tasks_here, memory or this_host_bytes())


def _parallelism(spark: SparkSession) -> int:
    """Return the number of cores over which Spark spreads a query."""
    if not is_connect(spark):
        return int(spark.sparkContext.defaultParallelism)
    places = spark.range(PROBE_ROWS).selectExpr("spark_partition_id() AS place")
    probe = places.selectExpr("max(place) + 1 AS n")
    return int(probe.collect()[0]["n"])

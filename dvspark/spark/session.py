"""The Spark session: the caller's, spark-submit's, or one that dvspark starts in local mode."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvspark.errors import ConfigError, Problem
from dvspark.host.ending import answer_signals, at_once, is_ending
from dvspark.host.owned import made_own_folder, others_may_write
from dvspark.logs.redact import is_secret, redacted, remember
from dvspark.spark.class_data import class_data_options
from dvspark.spark.defaults import default_master
from dvspark.spark.exhausted import is_cut_off
from dvspark.spark.java import find_java_home
from dvspark.spark.processes import children, end, terminate
from dvspark.spark.starting import java_gone, require_pyspark, started

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A process that dies closes its connections before the system tells how it ended; its memory goes in between.
DEATH_SECONDS = 5.0
# How long a session that was interrupted may take to stop.
STOP_SECONDS = 5.0
WAREHOUSE = "spark.sql.warehouse.dir"
SOCKET = "spark.python.unix.domain.socket.enabled"
DEFAULTS = "spark.driver.defaultJavaOptions"
# What a laptop needs and a cluster must not get from us.
LOCAL_CONF = {
    "spark.driver.bindAddress": "127.0.0.1",  # no port is open to the network
    "spark.driver.host": "127.0.0.1",  # the host name may resolve to an address that is not up
    "spark.ui.enabled": "false",  # saves a port and a second; progress is printed
    "spark.driver.memory": "2g",  # the JVM only passes rows on; the index is mapped by Python workers
    "spark.sql.shuffle.partitions": "8",  # 200 tiny tasks take longer than the work
    # 10,000 rows of 512 features at once, Spark's default, leave the caches: a pass takes 3.0 s of CPU, not 2.0.
    "spark.sql.execution.arrow.maxBytesPerBatch": "4m",
    # From Spark 4.1 on Java and its workers talk through a file: through a port a task often waits for 40 ms until the
    # other side has acknowledged what was sent (docs/decisions/0017).
    SOCKET: "true",
    "spark.ui.showConsoleProgress": "false",  # our own progress line says more
    # Warnings about host names and native libraries would hide our own lines.
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}",
}
# Jobs take some 5 % less time than with the default collector (docs/decisions/0016). Java does not start with two
# collectors, so one that these variables or the caller's settings name stays.
COLLECTOR = "-XX:+UseParallelGC"
# Java's second compiler, which takes long to make the fastest code, is for what runs thirty times as often as its
# defaults ask for. In a job of a minute that is little: three jobs take 20 s of CPU, not 27 (docs/decisions/0016).
LATE_COMPILER = (
    "-XX:Tier4InvocationThreshold=150000 -XX:Tier4MinInvocationThreshold=18000 -XX:Tier4CompileThreshold=450000 "
    "-XX:Tier4BackEdgeThreshold=1200000"
)
JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS")
# What these say stands in the command line of Java, or of executors that Spark starts.
JAVA_OPTIONS = tuple(
    f"spark.{process}.{name}"
    for process in ("driver", "executor")
    for name in ("extraJavaOptions", "defaultJavaOptions")
)


def has_active_session() -> bool:
    """Return whether this process has a session of Spark; pyspark is not loaded for the question."""
    if "pyspark" not in sys.modules:
        return False
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    return SparkSession.getActiveSession() is not None


@contextmanager
def open_session(master: str | None, conf: dict[str, str]) -> Iterator[SparkSession]:
    """Yield a Spark session, and stop it afterward if, and only if, it was started here.

    An active session is used as it is. Under spark-submit, the master is that of the submission. Otherwise Spark starts
    with ``master``, with that of its own settings (`default_master`), or in local mode on all cores. On a signal, the
    jobs of the session are canceled, and a Java that was started here ends with all its processes.
    Raises: ConfigError if pyspark or Java is missing, too old or does not start; ComputeError if Java dies.
    """
    require_pyspark()
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    remember(conf)
    active = SparkSession.getActiveSession()
    if active is not None:
        remember(active.conf.getAll)
        with _canceled_at_once(active):
            yield active
        return
    others, spark, java = children(), None, frozenset[int]()
    with at_once(lambda: terminate(children() - others)):
        try:
            spark = started(lambda: _builder(master, conf).getOrCreate(), conf)
            answer_signals()
            remember(spark.conf.getAll)
            java = children() - others
            with at_once(spark.interruptAll):
                yield spark
        except Exception as error:
            if spark is not None and (gone := java_gone(java, DEATH_SECONDS if is_cut_off(error) else 0.0)) is not None:
                raise gone from error
            raise
        finally:
            _stop(spark, java or children() - others)


def _builder(master: str | None, conf: dict[str, str]) -> SparkSession.Builder:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    builder = SparkSession.builder.appName("dvspark")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not under spark-submit
        if master is None and "SPARK_REMOTE" not in os.environ:
            master = (default_master() or (None,))[0]
        builder = builder.master(master or "local[*]")
        if not (master or "").startswith("sc://"):
            os.environ["JAVA_HOME"] = str(find_java_home())
        conf = {**_local_conf(conf), **conf} if (master or "local").startswith("local") else conf
        _launch_without_secrets({"spark.master": master or "local[*]", **conf})
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder


@contextmanager
def _canceled_at_once(spark: SparkSession) -> Iterator[None]:
    """Have the jobs of this block, and no other jobs of the caller's session, canceled on a signal."""
    tag = f"dvspark-{os.getpid()}"
    spark.addTag(tag)
    try:
        with at_once(lambda: spark.interruptTag(tag)):
            yield
    finally:
        with suppress(Exception):
            spark.removeTag(tag)


def _stop(spark: SparkSession | None, java: frozenset[int]) -> None:
    """Stop the session. If Java is gone, or is half way through a command on a signal, end its processes."""
    if is_ending() and java:
        end(java)
    elif is_ending() and spark is not None:
        stopping = threading.Thread(target=spark.stop, daemon=True)  # with a connection of its own
        stopping.start()
        stopping.join(STOP_SECONDS)
    elif spark is not None:
        try:
            with warnings.catch_warnings(), _accumulators_end_beside(spark):
                warnings.simplefilter("ignore")  # Spark's word on a Java that is gone, of which we tell ourselves
                spark.stop()
        except Exception as error:
            if not is_cut_off(error):
                raise
            end(java)


@contextmanager
def _accumulators_end_beside(spark: SparkSession) -> Iterator[None]:
    """Have the server of PySpark's accumulators end in a thread of its own, once the block has stopped the session.

    It looks once a second whether it should end, and the session would wait for it.
    """
    context: Any = getattr(spark, "_sc", None)  # Spark Connect has none
    server = getattr(context, "_accumulatorServer", None)
    if server is None:
        yield
        return
    context._accumulatorServer = None
    try:
        yield
    finally:
        threading.Thread(target=server.shutdown, daemon=True).start()
        if isinstance(server.server_address, str):  # a socket's path, which stays if this process ends first
            Path(server.server_address).unlink(missing_ok=True)


def _launch_without_secrets(conf: dict[str, str]) -> None:
    """Launch Java without settings that are secrets, because PySpark writes all settings into a command line.

    Every user of the host can read that line. The secrets reach Java by its connection, before Spark starts.
    Raises: ConfigError for a secret among the options of Java itself, which must stand in the command line.
    """
    secrets = {key for key, value in conf.items() if is_secret(key) or redacted(value) != value}
    if shown := secrets & set(JAVA_OPTIONS):
        hint = "give Java its options by a file, -Dname=@file or @argfile, or by the variable JDK_JAVA_OPTIONS"
        expected, got = "options without secrets: all users of the host can read them", "an option with one"
        raise ConfigError([Problem(f"spark.conf.{key}", expected, got, hint) for key in sorted(shown)])
    if not secrets or "spark.remote" in conf or "SPARK_REMOTE" in os.environ:
        return
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - an extra

    told = SparkConf(loadDefaults=False).setAll([(key, value) for key, value in conf.items() if key not in secrets])
    SparkContext._ensure_initialized(conf=told)


def is_same_host(spark: SparkSession) -> bool:
    """Return whether executors surely share this process's files: classic local mode.

    A Spark Connect server that says `local` may still be another machine.
    """
    return not is_connect(spark) and str(spark.conf.get("spark.master", "")).startswith("local")


def is_connect(spark: SparkSession) -> bool:
    """Return whether the session is a Spark Connect client."""
    return "connect" in type(spark).__module__


def _local_conf(given: dict[str, str]) -> dict[str, str]:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take python3 from PATH
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else Spark looks for a network address, and warns
    # Spark's workers import what lies in the folder one stands in, such as /tmp: not if that may be anybody's.
    if others_may_write(Path(os.curdir)) and not Path(__file__).is_relative_to(Path(os.curdir).resolve()):
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    conf = dict(LOCAL_CONF)
    if WAREHOUSE not in given:  # else a folder appears wherever one stands
        warehouse = Path(tempfile.gettempdir()) / f"dvspark-warehouse-{os.getuid()}"
        conf[WAREHOUSE] = str(made_own_folder(warehouse, f"remove it, or set spark.conf.{WAREHOUSE}"))
    named = [told for told in (*map(os.getenv, JAVA_VARIABLES), *given.values()) if told]
    if any("java.io.tmpdir" in told for told in named):  # the path of such a file may have some hundred letters
        conf[SOCKET] = "false"
    if not any("GC" in told for told in named):
        shares = any("Archive" in told or "-Xshare" in told for told in named)
        shared = "" if shares else class_data_options(Path(os.environ.get("JAVA_HOME", "")))
        late = "" if any(word in told for told in named for word in ("Tier", "Compile")) else LATE_COMPILER
        conf[DEFAULTS] = " ".join(filter(None, (COLLECTOR, late, shared)))  # instead of those in spark-defaults.conf
    return conf

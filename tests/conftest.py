"""Settings and sessions shared by all tests."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import property_tests  # noqa: F401 - sets how often they try
import pytest
from drawn import OPTION, are_drawn, commit_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from standalone_cluster import Cluster

    from dvspark.local.session import LocalSession


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, type=int, default=1, metavar="N", help="run one in N of a test's cases, and of long files")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    one_in = config.getoption(OPTION)
    if one_in == 1:  # git need not be asked
        return
    runs = are_drawn(items, one_in, commit_of(config.rootpath))
    config.hook.pytest_deselected(items=[item for item, is_run in zip(items, runs, strict=True) if not is_run])
    items[:] = itertools.compress(items, runs)


@pytest.fixture(scope="session")
def java_home() -> Path:
    """Where Java is; asked for only by tests that start Spark."""
    from java_options import java_options

    from dvspark.spark.java import find_java_home

    home = find_java_home()
    os.environ["JAVA_TOOL_OPTIONS"] = java_options(home)  # of all that tests start, by whatever way
    return home


@pytest.fixture(scope="session")
def spark_session(java_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of this process; runs without Spark tests start no JVM."""
    from pyspark.sql import SparkSession

    from dvspark.spark.session import LOCAL_CONF

    conf = {
        **LOCAL_CONF,
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),  # else it appears in the repository
        "spark.driver.memory": "1g",  # a few hundred rows
    }
    os.environ["JAVA_HOME"] = str(java_home)
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else workers take python3 from PATH
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # else Spark looks for a network address, and warns
    builder = SparkSession.builder.appName("dvspark tests").master("local[2]")  # two: rows really are spread
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session, given back as it was: a test's settings and cached tables end with it."""
    before = spark_session.conf.getAll
    yield spark_session
    after = spark_session.conf.getAll
    for key in after.keys() - before.keys():
        spark_session.conf.unset(key)
    for key, value in before.items():
        if after.get(key) != value:
            spark_session.conf.set(key, value)
    spark_session.catalog.clearCache()


@pytest.fixture(scope="session")
def cluster(java_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A standalone cluster of two workers; drivers on it are processes of their own."""
    # Only one SparkContext can live in a process, and this one's may be the local session's.
    from standalone_cluster import start_cluster

    with start_cluster(tmp_path_factory.mktemp("cluster"), java_home) as running:
        yield running


@pytest.fixture(scope="session")
def local() -> Iterator[LocalSession]:
    """The one local session of this process: its workers take two seconds to start."""
    from dvspark.local.session import open_local_session

    with open_local_session() as session:
        yield session


@pytest.fixture(scope="session")
def command(spark_session: SparkSession) -> Callable[..., int]:
    """The command line in this process, on the tests' Spark session: words in, exit code out."""
    from dvspark import logs
    from dvspark.cli import main

    def run(*words: object) -> int:
        # Both are set for a process that ends with the command.
        handler, handlers = signal.getsignal(signal.SIGTERM), logs.LOGGER.handlers[:]
        try:
            return main([str(word) for word in words])
        finally:
            signal.signal(signal.SIGTERM, handler)
            logs.LOGGER.handlers[:] = handlers
            logs.LOGGER.propagate = True

    return run

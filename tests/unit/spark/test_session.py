"""What starts Java: no secret among the settings stands in its command line; and what a session's end waits for."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from dvspark.errors import ConfigError
from dvspark.logs import redact
from dvspark.spark.session import _launch_without_secrets, _stop

SECRET = "hunter2@:/ hunter2"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The settings that PySpark would write into a command line, for each launch of Java."""
    from pyspark import SparkContext

    told = list[dict[str, str]]()
    monkeypatch.setattr(redact, "_remembered", set())
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setattr(SparkContext, "_jvm", None)
    monkeypatch.setattr(SparkContext, "_ensure_initialized", lambda conf: told.append(dict(conf.getAll())))
    return told


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.authenticate.secret", SECRET),
        ("spark.hadoop.fs.s3a.secret.key", SECRET),
        ("spark.ssl.keyPassword", SECRET),
        ("spark.databricks.pat", SECRET),
        ("spark.jars.repositories", "https://me:hunter2@repository/maven"),
        ("spark.jars.repositories", "https://ghp0123456789@repository/maven"),
        ("spark.sql.catalog.lake.uri", "jdbc:postgresql://db/x?user=me&password=hunter2"),
    ],
)
def test_launch__leaves_secrets_out(launched: list[dict[str, str]], key: str, value: str) -> None:
    plain = {"spark.master": "local[2]", "spark.driver.memory": "1g"}
    _launch_without_secrets({**plain, key: value})
    assert launched == [plain]


def test_launch__is_left_to_pyspark_where_there_is_no_secret(launched: list[dict[str, str]]) -> None:
    _launch_without_secrets({"spark.master": "local[2]", "spark.sql.hive.compat": "true"})
    assert launched == []


@pytest.mark.parametrize("process", ["driver", "executor"])
@pytest.mark.parametrize("name", ["extraJavaOptions", "defaultJavaOptions"])
def test_launch__refuses_secrets_among_the_options_of_java(
    launched: list[dict[str, str]], process: str, name: str
) -> None:
    options: dict[str, Any] = {f"spark.{process}.{name}": "-Xss4m -Djavax.net.ssl.trustStorePassword=hunter2hunter2"}
    with pytest.raises(ConfigError, match="JDK_JAVA_OPTIONS") as refused:
        _launch_without_secrets(options)
    assert "hunter2" not in str(refused.value)
    assert launched == []


def test_stop__does_not_wait_for_the_accumulators(tmp_path: Path) -> None:
    """Their server looks once a second whether it should end; `SparkContext.stop` waits for it, if it has one."""
    asked, in_stop, address = Event(), list[Any](), tmp_path / "socket"
    address.touch()
    context = SimpleNamespace(_accumulatorServer=SimpleNamespace(shutdown=asked.set, server_address=str(address)))
    spark: Any = SimpleNamespace(_sc=context, stop=lambda: in_stop.append(context._accumulatorServer))
    _stop(spark, frozenset())
    assert in_stop == [None]
    assert asked.wait(60)
    assert not address.exists()


def test_stop__ends_sessions_that_have_no_accumulators() -> None:
    stopped = Event()
    connect: Any = SimpleNamespace(stop=stopped.set)
    _stop(connect, frozenset())
    assert stopped.is_set()

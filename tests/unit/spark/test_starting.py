"""What keeps Spark from starting is told with what to do; stand-ins for pyspark and for Java."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dvspark.errors import ConfigError
from dvspark.spark import session, starting
from dvspark.spark.processes import children, end
from dvspark.spark.starting import java_gone, require_pyspark, started

# What PySpark 4.3 says when Java does not come up, and when Spark refuses its memory.
EXITED = "[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number."
REFUSED = """An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: org.apache.spark.SparkIllegalArgumentException: [INVALID_DRIVER_MEMORY] System memory 67108864 must be at least 450m
\tat org.apache.spark.memory.UnifiedMemoryManager$.getMaxMemory(UnifiedMemoryManager.scala:231)"""


def _failing(said: str) -> Any:
    def get_or_create() -> None:
        raise RuntimeError(said)

    return get_or_create


@pytest.mark.parametrize("version", ["3.5.9", "2.4.8"])
def test_require_pyspark__one_that_is_too_old_is_named(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pyspark")
    module.__version__, module.__file__ = version, "/opt/spark/python/pyspark/__init__.py"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", module)
    with pytest.raises(ConfigError, match=rf"pyspark {version} in /opt/spark/python/pyspark\n.*spark-submit"):
        require_pyspark()


def test_require_pyspark__one_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ConfigError, match=r"pip install 'dvspark\[spark\]'"):
        require_pyspark()


def test_require_pyspark__a_pyarrow_that_it_does_not_take_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyarrow.__version__", "9.0.0")
    with pytest.raises(ConfigError, match=r"PyArrow >= .* must be installed"):
        require_pyspark()


def test_started__java_that_gets_no_memory_is_told_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\necho "Error: Could not reserve enough space for $1" >&2; exit 1\n')
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        started(_failing(EXITED), {"spark.driver.memory": "90t"})
    (problem,) = caught.value.problems
    assert problem.got == "it ended at once: Error: Could not reserve enough space for -Xmx90t"
    assert "spark.driver.memory" in problem.hint


def test_started__what_spark_refuses_is_told_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"got: \[INVALID_DRIVER_MEMORY\].* 450m\n"):
        started(_failing(REFUSED), {})


def test_builder__java_is_the_one_that_was_found_not_the_one_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr(session, "find_java_home", lambda: tmp_path / "good")
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for master in (None, "local[2]", "spark://host:7077"):
        session._builder(master, {})
        assert os.environ["JAVA_HOME"] == str(tmp_path / "good")
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))


def test_java_gone__says_how_it_ended() -> None:
    for code, how in (("import time; time.sleep(60)", "signal SIGKILL"), ("raise SystemExit(3)", "exit code 3")):
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            assert process.pid in children()
            if how == "signal SIGKILL":
                assert java_gone([process.pid]) is None
                process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert how in str(java_gone([process.pid]))
    assert "it is gone" in str(java_gone([process.pid]))
    assert java_gone([]) is None


def test_java_gone__waits_for_one_that_is_dying() -> None:
    """Its connections close before the system tells how it ended: the error comes first."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(); raise SystemExit(3)"], stdin=-1) as one:
        assert java_gone([one.pid]) is None
        assert one.stdin is not None
        one.stdin.close()
        assert "exit code 3" in str(java_gone([one.pid], 60.0))


def test_end__forces_what_does_not_end_and_reaps_it() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    end([process.pid], seconds=0.1)
    assert process.pid not in children()
    process.stdout.close()
    process.wait()


def test_said_by_java__a_java_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "No such file" in starting._said_by_java(None)

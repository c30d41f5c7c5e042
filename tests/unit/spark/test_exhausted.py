"""What ran out is known by the line that says so; another error stays what it is."""

from __future__ import annotations

import socket

import pytest

from dvspark.errors import ComputeError, ConfigError, Problem
from dvspark.spark.exhausted import JAVA_HINT, LONGEST_LINE, is_cut_off, ran_out, translated

JOB = "Job aborted due to stage failure: Task 0 in stage 6.0 failed 4 times\n\tat org.apache.spark\n{}\n\t... 12 more"


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("Caused by: java.io.IOException: No space left on device", "disk"),
        ("OSError: [Errno 122] Disk quota exceeded: '/cache/x.npy'", "disk"),
        ("Caused by: org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: The DiskSpace quota", "disk"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 2.00 GiB for an array", "memory"),
        ("Caused by: java.lang.OutOfMemoryError: Java heap space", "memory"),
        ("OSError: [Errno 12] Cannot allocate memory", "memory"),
        ("ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: exit code 137", "memory"),
        ("Container killed by YARN for exceeding physical memory limits. 9.1 GB of 9 GB used", "memory"),
        ("Caused by: org.apache.spark.SparkException: Python worker exited unexpectedly (crashed).", "memory"),
    ],
)
def test_ran_out__names_what_and_the_line(line: str, where: str) -> None:
    told = ran_out(RuntimeError(JOB.format(line)))
    assert told is not None
    (problem,) = told.problems
    assert (problem.where, problem.got, told.exit_code) == (where, line, 5)
    assert "started again" in problem.hint.lower()


def test_ran_out__tells_where_spark_was_writing() -> None:
    said = "[TASK_WRITE_FAILED] Task failed while writing rows to file:/out/_staging/values. SQLSTATE: 58030\n"
    told = ran_out(RuntimeError(said + JOB.format("Caused by: java.io.IOException: No space left on device")))
    assert told is not None
    assert told.problems[0].got == (
        "Caused by: java.io.IOException: No space left on device "
        "(Task failed while writing rows to file:/out/_staging/values.)"
    )


def test_ran_out__knows_pythons_own_error_and_cuts_long_lines() -> None:
    told = ran_out(MemoryError("x" * 1000))
    assert told is not None
    assert told.problems[0].got.startswith("MemoryError: xxx")
    assert len(told.problems[0].got) == LONGEST_LINE


@pytest.mark.parametrize("line", ["ValueError: 3", "java.io.IOException: Connection reset", "no such file: disk"])
def test_ran_out__another_error_is_none(line: str) -> None:
    assert ran_out(RuntimeError(JOB.format(line))) is None


def test_translated__tells_what_ran_out_and_leaves_other_errors_as_they_are() -> None:
    with pytest.raises(ComputeError, match="Java heap space"), translated():
        raise RuntimeError(JOB.format("Caused by: java.lang.OutOfMemoryError: Java heap space"))
    for error in (ValueError("another"), ConfigError(Problem("k", "a number", "'x'"))):
        with pytest.raises(type(error)) as caught, translated():
            raise error
        assert caught.value is error


def test_ran_out__a_connection_of_py4j_that_breaks_is_java_that_is_gone() -> None:
    from py4j.protocol import Py4JNetworkError

    told = ran_out(Py4JNetworkError("Answer from Java side is empty"))
    assert told is not None
    (problem,) = told.problems
    assert (problem.where, problem.hint, told.exit_code) == ("Java", JAVA_HINT, 5)
    assert problem.got == "Py4JNetworkError: Answer from Java side is empty"


def test_ran_out__a_java_that_takes_no_connection_is_gone_and_another_server_is_another_error() -> None:
    from py4j.clientserver import ClientServer, JavaParameters, PythonParameters

    with socket.socket() as nobody:  # bound, but it does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        gateway = ClientServer(JavaParameters(port=port), PythonParameters(port=0, eager_load=False))
        with pytest.raises(ConnectionRefusedError) as caught:
            gateway.jvm.java.lang.System.nanoTime()
        told = ran_out(caught.value)
        with pytest.raises(ConnectionRefusedError) as others:
            socket.create_connection(("127.0.0.1", port))
    assert told is not None
    assert told.problems[0].where == "Java"
    assert ran_out(others.value) is None


def test_is_cut_off__also_by_what_the_error_was_raised_from() -> None:
    from py4j.protocol import Py4JNetworkError

    told = ComputeError([])
    assert not is_cut_off(told)
    told.__cause__ = OSError()
    assert not is_cut_off(told)
    told.__cause__.__cause__ = Py4JNetworkError("Answer from Java side is empty")
    assert is_cut_off(told)

"""What workers lack is known by the line that says so, as Spark passes it on."""

from __future__ import annotations

import pytest

from dvspark.errors import ComputeError, ConfigError
from dvspark.spark.exhausted import translated
from dvspark.spark.unready import lacking

JOB = """[STAGE_MATERIALIZATION_MULTIPLE_FAILURES] Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times
Lost task 0.3 in stage 0.0 (TID 3) (127.0.0.1 executor 0): org.apache.spark.api.python.PythonException:
Traceback (most recent call last):
  File "/opt/spark/python/lib/pyspark.zip/pyspark/serializers.py", line 480, in loads
    return cloudpickle.loads(obj, encoding=encoding)
{}

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:581)"""


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("ModuleNotFoundError: No module named 'dvspark'", "--py-files"),
        ("ModuleNotFoundError: No module named 'scipy'", "SciPy"),
        ("ImportError: cannot import name 'StringView' from 'pyarrow' (/usr/lib/python3/pyarrow.py)", "PyArrow"),
        (
            "PySparkImportError: [UNSUPPORTED_PACKAGE_VERSION] PyArrow >= 18.0.0 must be installed; however, ...",
            "PyArrow",
        ),
        (
            "AttributeError: Can't get attribute 'sum_batches' on <module 'dvspark.engine.reduce' from '/reduce.py'>",
            "install dvspark",
        ),
        (
            "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12",
            "PYSPARK_PYTHON",
        ),
        ('Caused by: java.io.IOException: Cannot run program "python9": Exec failed, error: 2', "PYSPARK_PYTHON"),
    ],
)
def test_lacking__names_the_line_and_what_to_do(line: str, hint: str) -> None:
    told = lacking(RuntimeError(JOB.format(line)))
    assert told is not None
    (problem,) = told.problems
    assert (problem.got, told.exit_code) == (line, 2)
    assert hint in problem.hint


def test_lacking__an_import_of_the_driver_that_fails_is_told_too() -> None:
    with pytest.raises(ConfigError, match="PyArrow >= 18"), translated():
        raise ImportError("[UNSUPPORTED_PACKAGE_VERSION] PyArrow >= 18.0.0 must be installed")


@pytest.mark.parametrize("line", ["ValueError: 3", "AttributeError: 'int' object has no attribute 'x'"])
def test_lacking__another_error_is_none(line: str) -> None:
    assert lacking(RuntimeError(JOB.format(line))) is None


def test_translated__what_ran_out_is_not_taken_for_a_missing_package() -> None:
    with pytest.raises(ComputeError), translated():
        raise RuntimeError(JOB.format("MemoryError"))

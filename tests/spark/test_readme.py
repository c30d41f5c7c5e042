"""The README's Python on Spark tables, in a session as its reader would have one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dvspark.demo import DATA

pytestmark = pytest.mark.spark

README = Path(__file__).parents[2] / "README.md"


def test_readme__python_on_spark_tables_runs(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    on_spark = [block for block in blocks if "spark.read" in block]
    assert on_spark
    for block in on_spark:
        # The reader stands in the folder of the tables; Spark's own working folder is fixed when it starts.
        code = re.sub(r'"(train|validation)\.parquet"', lambda name: repr(str(DATA / f"{name[1]}.parquet")), block)
        exec(compile(code, "README.md", "exec"), {"spark": spark})
    shown = capsys.readouterr().out
    assert "retroarch-dev" in shown
    assert "verdict='pass'" in shown

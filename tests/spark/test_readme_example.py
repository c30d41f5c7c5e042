"""The documents' Python on Spark tables, in a session as their reader would have one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dvspark.demo import DATA

pytestmark = pytest.mark.spark

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/python.md")


@pytest.mark.parametrize("page", PAGES)
def test_page__python_on_spark_tables_runs(page: str, spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    on_spark = [block for block in blocks if "spark.read" in block]
    assert on_spark
    for block in on_spark:
        # The reader stands in the folder of the tables; Spark's own working folder is fixed when it starts.
        code = re.sub(r'"(train|validation)\.parquet"', lambda name: repr(str(DATA / f"{name[1]}.parquet")), block)
        exec(compile(code, page, "exec"), {"spark": spark})
    shown = capsys.readouterr().out
    assert "retroarch-dev" in shown
    assert "verdict='pass'" in shown


def test_pages__are_all_that_show_spark_tables() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        str(path.relative_to(ROOT)): re.findall(r"^```python.*?^```", path.read_text(), re.M | re.S)
        for path in documents
    }
    assert {name for name, blocks in shown.items() if "spark.read." in "".join(blocks)} == {*PAGES}

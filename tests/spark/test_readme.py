"""The README's Python on Spark tables, in a session as its reader would have one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dvspark.demo import DATA
from dvspark.engine.session import open_session

pytestmark = pytest.mark.spark

README = Path(__file__).parents[2] / "README.md"


def test_readme__python_on_spark_tables_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    on_spark = [block for block in blocks if "spark.read" in block]
    assert on_spark
    for side in ("train", "validation"):
        shutil.copy(DATA / f"{side}.parquet", tmp_path)
    monkeypatch.chdir(tmp_path)
    with open_session("local[2]", {}) as spark:
        for block in on_spark:
            exec(compile(block, "README.md", "exec"), {"spark": spark})
    shown = capsys.readouterr().out
    assert "retroarch-dev" in shown
    assert "verdict='pass'" in shown

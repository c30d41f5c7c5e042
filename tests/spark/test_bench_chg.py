"""The benchmark of values during training runs, tiny."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench_checks import check_result, in_this_process

from tests.bench import chg_epochs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.long]


def test_chg_epochs__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, chg_epochs)
    result = chg_epochs.main(tiny=True)
    check_result(result, chg_epochs)
    rows, _ = result["tables"].values()
    assert [row["variant"] for row in rows] == [variant for variant, *_ in chg_epochs.WAYS]

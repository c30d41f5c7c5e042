"""The benchmark of values during training runs, tiny."""

from __future__ import annotations

import pytest
from bench_checks import check_result

from tests.bench import chg_epochs

# A benchmark starts several sessions, one after the other.
pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]


def test_chg_epochs__runs_tiny() -> None:
    result = chg_epochs.main(tiny=True)
    check_result(result, chg_epochs)
    rows, _ = result["tables"].values()
    assert [row["variant"] for row in rows] == [variant for variant, *_ in chg_epochs.WAYS]

"""The comparison of `dvspark plan` with `dvspark value` runs, on a size of no meaning; no time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import performance_page, plan_estimate

# A benchmark starts several sessions, one after the other.
pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(900)]


def test_plan_estimate__compares_what_was_expected_with_what_was_measured(java_home: Path) -> None:
    found = plan_estimate.main(tiny=True)
    assert performance_page.section(found).startswith(f"## {plan_estimate.QUESTION}\n")
    (rows,) = found["tables"].values()
    assert [(row["N"], row["D"], row["M"]) for row in rows] == plan_estimate.TINY_SHAPES
    kinds = [f"{kind} s {name}" for kind in ("CPU", "wall") for name in ("expected", "measured")]
    assert all(row[kind] > 0 for row in rows for kind in kinds)

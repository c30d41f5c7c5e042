"""The comparison of `dvspark plan` with `dvspark value` runs, on a size of no meaning; no time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.plan_estimate import TINY_SHAPES, main

pytestmark = pytest.mark.spark


def test_plan_estimate__compares_what_was_expected_with_what_was_measured(java_home: Path, tmp_path: Path) -> None:
    found = main(tiny=True, out=tmp_path / "sizes.json")
    assert [(line["n_train"], line["n_features"], line["n_validation"]) for line in found] == TINY_SHAPES
    assert all(
        line[f"{name}{kind}_seconds"] > 0 for line in found for name in ("expected_", "") for kind in ("core", "wall")
    )
    assert set(found[0]["stages"]) >= {"validate", "index", "value", "audit"}
    assert json.loads((tmp_path / "sizes.json").read_text())["sizes"] == found

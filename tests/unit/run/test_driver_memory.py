"""Jobs whose driver holds tables are refused before it runs out of memory, and before an index is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from frames import draw_data, write_parquet

from dvspark.config.job import JobConfig
from dvspark.engine.planning.plan import Hosts, Plan, make_plan, require_driver
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError
from dvspark.local.session import LocalSession
from dvspark.methods import METHODS
from dvspark.run.pipeline import run

GIB = 2**30
SIDES = ("train", "validation")
FAR_MORE: dict[str, Any] = {"n_train": 40_000_000, "n_validation": 1_000, "n_features": 256}


def planned(method: str, memory_bytes: int, **changes: Any) -> tuple[Sizes, Plan]:
    """Return the sizes and the plan of a table that is larger than a host."""
    sizes = Sizes(**{**FAR_MORE, **changes}, method=METHODS[method])
    return sizes, make_plan(sizes, Hosts(4, 4, memory_bytes), chunk_rows=256)


@pytest.mark.parametrize("method", ["lava", "dvrl"])
def test_driver__cannot_hold_training_rows_that_lie_in_blocks(method: str) -> None:
    sizes, plan = planned(method, 32 * GIB)
    assert plan.name == "sharded"
    with pytest.raises(ComputeError) as caught:
        require_driver(sizes, plan, 32 * GIB)
    (problem,) = caught.value.problems
    assert problem.expected == f"at most 19.2 GiB, 60% of its memory, for {method}"
    assert problem.got.endswith("for 40,000,000 rows by 1,000, of 256 float32")
    assert "sample" in problem.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("method", ["dvrl", "influence", "chg_shapley"])
def test_driver__maps_rows_or_leaves_them_to_tasks(method: str) -> None:
    memory_bytes = 128 * GIB if method == "dvrl" else 32 * GIB
    sizes, plan = planned(method, memory_bytes)
    assert plan.name == ("replicated" if method == "dvrl" else "sharded")
    require_driver(sizes, plan, 2 * GIB)


@pytest.mark.parametrize("method", ["lava", "dvrl", "influence"])
def test_driver__cannot_hold_validation_rows_without_end(method: str) -> None:
    sizes, plan = planned(method, 64 * GIB, n_train=1_000, n_validation=40_000_000)
    with pytest.raises(ComputeError, match="memory of the driver"):
        require_driver(sizes, plan, 64 * GIB)


def test_job__that_its_driver_cannot_hold_writes_nothing(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = draw_data(60, 40, seed=7, id_type="string", label_type="string")
    sides = {side: {"path": write_parquet(tmp_path / f"{side}.parquet", getattr(data, side))} for side in SIDES}
    config = JobConfig(**sides, output={"path": str(tmp_path / "out")}, method="lava", work_dir=str(tmp_path / "work"))
    dtype = str(data.train.x.dtype)
    sizes = Sizes(60, 40, data.train.x.shape[1], dtype, method=METHODS["lava"])
    needed = METHODS["lava"].driver_bytes(sizes, in_blocks=False)
    monkeypatch.setattr("dvspark.run.plan.this_host_bytes", lambda: int(needed / 0.6) - 1)
    with pytest.raises(ComputeError, match=r"(?s)memory of the driver.*60 rows by 40"):
        run(config, local)
    assert not list(tmp_path.glob("out/[rv]*"))
    assert not list(tmp_path.glob("work/**/*.npy"))

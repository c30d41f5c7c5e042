"""The text of a plan says what the work is cut into, and nothing of what there is not."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.engine.planning.calibrate import PointCost, measure
from dvspark.engine.planning.estimate import estimate
from dvspark.engine.planning.plan import Hosts, make_plan
from dvspark.engine.planning.sizes import Sizes
from dvspark.methods.options import ValueOptions
from dvspark.run.plan_job import plan_text

TABLES = {"n_train": 5_000, "n_validation": 2_000, "n_features": 8, "dtype": "float32"}


def sizes_of(method: str, **parameters: Any) -> Sizes:
    options = ValueOptions(method, parameters)
    assert options.problems() == []
    return Sizes.of(options, **TABLES)


def lines_of(
    method: str, cores: int = 2, seconds: float = 1e-6, asked: str = "auto", **parameters: Any
) -> dict[str, str]:
    """Return the lines of a plan's text by name; ``seconds``: of a pair of rows."""
    sizes = sizes_of(method, **parameters)
    hosts = Hosts(cores, cores, 2**34)
    plan = make_plan(sizes, hosts, chunk_rows=256, asked=asked)
    told = {name: getattr(sizes, name) for name in ("n_train", "n_validation", "n_features", "dtype", "asked")}
    found = {
        **told,
        "label": "bigint",
        "n_ranges": sizes.n_ranges,
        "n_readings": sizes.n_readings,
        "in_chunks": sizes.method.adds_up,
        "cores": cores,
        "plan": plan.record(),
        "estimate": estimate(plan, sizes, hosts, PointCost(0.0, seconds)).record(),
        "not_counted": "",
        "groups": None,
        "turning_point": "more rows",
    }
    return {line[:13].strip(): line[13:] for line in plan_text(found).splitlines()}


CUT = {
    "chunks": ("knn_shapley", {"k": 5}, {"chunks", "blocks"}),
    "ranges": ("monte_carlo_shapley", {"utility": "knn", "evaluations": 400_000}, {"ranges"}),
    "epochs": ("chg_shapley", {"epochs": 40}, {"readings"}),
    "a head": ("chg_shapley", {}, {"readings"}),
    "both tables": ("influence", {}, set[str]()),
}


@pytest.mark.parametrize("name", CUT)
def test_text__tells_what_the_work_is_cut_into(name: str) -> None:
    method, parameters, expected = CUT[name]
    lines = lines_of(method, **parameters)
    assert {"chunks", "blocks", "ranges", "readings"} & set(lines) == expected
    if name == "epochs":
        assert lines["readings"] == "41 of all training rows"


def test_text__says_how_cores_without_a_chunk_get_one() -> None:
    hint = "; 56 of 64 cores value none: chunk_rows: 32 would give each some, and other last bits"
    assert lines_of("knn_shapley", cores=64, seconds=1e-3)["chunks"] == f"8 of about 256 rows, 1 wave or more{hint}"
    for told in (
        lines_of("knn_shapley", cores=8, seconds=1e-3),  # a chunk for each
        lines_of("knn_shapley", cores=64),  # quick ones
        lines_of("knn_shapley", cores=64, seconds=1e-3, asked="sharded"),  # blocks are the tasks
    ):
        assert "value none" not in told["chunks"]


def test_products__grow_with_the_epochs() -> None:
    once, often = sizes_of("chg_shapley", epochs=1), sizes_of("chg_shapley", epochs=40)
    assert often.method.flops(often) == 40 * once.method.flops(once)


def test_measure__takes_few_epochs_for_many() -> None:
    options = ValueOptions("chg_shapley", {"epochs": 1_000_000})  # all of them would take an hour
    sizes = Sizes.of(options, **{**TABLES, "n_train": 300})
    cost = measure(sizes, options, n_labels=3, points=10)
    assert cost.seconds(300) * sizes.n_validation > 1.0

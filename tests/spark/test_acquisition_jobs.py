"""Jobs of candidates beside owned rows: the same bits on both engines and plans, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from frames import draw_data, frame_of, write_parquet

import dvspark
from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, InputError
from dvspark.local.session import open_local_session
from dvspark.run import pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::dvspark.DataWarning")]

METHOD = "knn_acquisition_shapley"
DATA = draw_data(120, 40, seed=7, n_features=3, id_type="string", label_type="string")
OWNED, CANDIDATES = DATA.train.take(slice(50)), DATA.train.take(slice(50, None))
VENDORS = [f"vendor {row % 3}" for row in range(len(CANDIDATES))]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """The settings of a job whose tables are files."""
    train = {"path": write_parquet(tmp_path / "train.parquet", CANDIDATES, owner=VENDORS), "owner": "owner"}
    sides = {"owned": OWNED, "validation": DATA.validation}
    tables = {name: {"path": write_parquet(tmp_path / f"{name}.parquet", side)} for name, side in sides.items()}
    return {"method": METHOD, "k": 3, "chunk_rows": 8, "error_bound": True, "train": train, **tables}


def in_arrays(**options: Any) -> Any:
    x, y, ids = OWNED.x, OWNED.labels, OWNED.ids
    sides = CANDIDATES.x, CANDIDATES.labels, DATA.validation.x, DATA.validation.labels
    given = {"train_ids": CANDIDATES.ids, "x_owned": x, "y_owned": y, "owned_ids": ids}
    return dvspark.value_arrays(*sides, method=METHOD, k=3, **given, **options)


@pytest.mark.long
def test_acquisition_job__has_the_same_bits_on_both_engines_and_plans(
    spark: SparkSession, settings: dict[str, Any], tmp_path: Path
) -> None:
    found = {}
    with open_local_session() as local:
        for name, session, plan in (("local", local, "auto"), ("one", spark, "replicated"), ("many", spark, "sharded")):
            output = {"output": {"path": str(tmp_path / name)}, "plan": plan, "report": name == "local"}
            record = pipeline.run(load_config(None, {**settings, **output}), session)
            assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
            assert record["inputs"]["n_owned"] == len(OWNED)
            table = pq.read_table(record["outputs"]["values"]).sort_by("id")
            found[name] = table.select(["id", "value", "standard_error", "rank", "label", "owner", "error_bound"])
    assert found["one"].equals(found["local"])
    assert found["many"].equals(found["local"])
    assert found["local"]["id"].to_pylist() == sorted(CANDIDATES.ids)
    assert sorted(found["local"]["rank"].to_pylist()) == list(range(1, len(CANDIDATES) + 1))
    places = [CANDIDATES.ids.index(one) for one in found["local"]["id"].to_pylist()]
    assert found["local"]["owner"].to_pylist() == [VENDORS[place] for place in places]
    values, bounds = in_arrays(error_bound=True)
    np.testing.assert_array_equal(found["local"]["error_bound"], bounds[places])
    np.testing.assert_allclose(found["local"]["value"], values[places], rtol=0, atol=1e-14)


@pytest.mark.long
def test_value_table__values_candidates_beside_owned_rows(spark: SparkSession) -> None:
    candidates, owned, validation = (frame_of(spark, side, DATA.types) for side in (CANDIDATES, OWNED, DATA.validation))
    result = dvspark.value_table(candidates, validation, owned_df=owned, method=METHOD, k=3)
    found = {row["id"]: row["value"] for row in result.values.collect()}
    np.testing.assert_allclose([found[one] for one in CANDIDATES.ids], in_arrays(), rtol=0, atol=1e-14)
    with pytest.raises(ConfigError, match="a table of rows that are owned"):
        dvspark.value_table(candidates, validation, method=METHOD)
    with pytest.raises(ConfigError, match="no owned rows, for knn_shapley"):
        dvspark.value_table(candidates, validation, owned_df=owned)
    with pytest.raises(ConfigError, match="owned_df"):
        dvspark.value_table(candidates, validation, owned_df=[1, 2], method=METHOD)
    with pytest.raises(InputError, match="ids more than once"):
        dvspark.value_table(candidates, validation, owned_df=candidates, method=METHOD)
    numbers = owned.selectExpr("id", "embedding", "1 AS label")
    with pytest.raises(InputError, match="label of owned rows"):
        dvspark.value_table(candidates, validation, owned_df=numbers, method=METHOD)


Command = Callable[..., int]


@pytest.mark.long
def test_acquisition_job__on_the_command_line(command: Command, settings: dict[str, Any], tmp_path: Path) -> None:
    words = [f"--{side} {settings[side]['path']}" for side in ("train", "owned", "validation")]
    words = " ".join([*words, f"--output {tmp_path / 'out'} --method {METHOD} --k 3 --report false"]).split()
    assert command("plan", *words) == 0
    assert command("value", *words, "--engine", "local") == 0
    assert len(dvspark.read_values(str(tmp_path / "out"))) == len(CANDIDATES)

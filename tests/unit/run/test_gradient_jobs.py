"""Jobs that value rows by given losses and gradients, without Spark: enumeration, arrays, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ordered_cases import chg_coalition_values

import dvspark
from dvspark.config.job import JobConfig
from dvspark.errors import ConfigError, DvsparkError, InputError
from dvspark.kernels.gradients.course import games_of
from dvspark.kernels.gradients.given_pass import GivenPass
from dvspark.kernels.gradients.head_pass import VARIANTS
from dvspark.kernels.gradients.row_pass import stretches
from dvspark.local.session import LocalSession
from dvspark.run.pipeline import run

N, P = 50, 5
RNG = np.random.default_rng(7)
IDS = RNG.permutation(N)
LABELS = np.arange(N) % 3
LOSSES, GRADIENTS = RNG.gamma(1.0, size=N), RNG.normal(size=(N, P)) + 0.3
OTHERS = {"label": np.arange(30) % 3, "loss": RNG.gamma(1.0, size=30), "gradient": RNG.normal(size=(30, P))}


def written(path: Path, **columns: Any) -> dict[str, str]:
    """Write columns as Parquet, and return the settings that name them."""
    columns.setdefault("id", np.arange(len(columns["label"])) + 1_000)
    arrays = {
        name: column if isinstance(column, pa.Array) else pa.array(list(column)) for name, column in columns.items()
    }
    pq.write_table(pa.table(arrays), path)
    return {"path": str(path), "embedding": "gradient"}


def values_of(local: LocalSession, folder: Path, train: dict[str, Any], **settings: Any) -> np.ndarray:
    """Return the values of a job in the order of IDS; ``validation``: columns of validation rows."""
    sides: dict[str, Any] = {"train": written(folder / "train.parquet", **train), "self_validation": True}
    if (points := settings.pop("validation", None)) is not None:
        sides = {**sides, "self_validation": False, "validation": written(folder / "points.parquet", **points)}
    given = {"method": "chg_shapley", "source": "gradients", "engine": "local", "report": False, "force": True}
    config = JobConfig(**sides, **given, run_id="run", output={"path": str(folder / "out")}, **settings)
    assert config.problems() == []
    record = run(config, local)
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
    found = pq.read_table(folder / "out" / "values" / "run_id=run").to_pydict()
    by_id = dict(zip(found["id"], found["value"], strict=True))
    return np.array([by_id[row] for row in train["id"]])


def rows(n: int = N) -> dict[str, Any]:
    """Return the columns of the first rows."""
    return {"id": IDS[:n], "label": LABELS[:n], "loss": LOSSES[:n], "gradient": GRADIENTS[:n]}


def in_game(variant: str, losses: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return what rows are in their game."""
    return gradients if variant == "gradient" else losses[:, None] * gradients


@pytest.mark.parametrize("aim", ["train", "validation"])
@pytest.mark.parametrize("variant", ["chg", "gradient"])
def test_values__are_those_of_all_coalitions(local: LocalSession, tmp_path: Path, variant: str, aim: str) -> None:
    x = in_game(variant, LOSSES[:7], GRADIENTS[:7])
    target = x if aim == "train" else in_game(variant, OTHERS["loss"], OTHERS["gradient"])
    points = None if aim == "train" else OTHERS
    values = values_of(local, tmp_path, rows(7), variant=variant, validation=points)
    np.testing.assert_allclose(values, chg_coalition_values(x, target.mean(axis=0)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("by", ["all", "label"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_values__of_stretches_in_workers_are_those_of_arrays(
    local: LocalSession, tmp_path: Path, variant: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvspark.kernels.gradients.row_pass.STRETCH_ROWS", 16)
    assert len(stretches(N)) == 4
    values, expected = values_of(local, tmp_path, rows(), variant=variant, by=by), np.empty(N)
    for own in [np.full(N, True)] if by == "all" else [label == LABELS for label in range(3)]:
        x = in_game(variant, LOSSES[own], GRADIENTS[own])
        hard = variant == "hardness"
        expected[own] = dvspark.hardness_value_arrays(LOSSES[own]) if hard else dvspark.chg_value_arrays(x)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    order = np.random.default_rng(0).permutation(N)
    moved = values_of(local, tmp_path, {name: column[order] for name, column in rows().items()}, variant=variant, by=by)
    assert moved.tobytes() == values[order].tobytes()


@pytest.mark.parametrize("variant", VARIANTS)
def test_pass__told_as_arrays_has_the_same_bits(variant: str) -> None:
    x, codes = GRADIENTS, LABELS.astype(np.int32)
    asked = GivenPass(variant, P, 3)
    for one in (asked, asked.valuing(games_of(asked.over([(x, codes, LOSSES)]), None, variant))):
        told = one.answer([(x, codes, LOSSES)])
        for name, array in GivenPass.of_arrays(one.arrays()).answer([(x, codes, LOSSES)]).items():
            assert array.tobytes() == told[name].tobytes()


@pytest.mark.parametrize("variant", ["chg", "hardness"])
def test_pass__over_rows_without_losses_that_count_is_refused(variant: str) -> None:
    with pytest.raises(ValueError, match="expected losses of rows; got none"):
        GivenPass(variant, P).over([(GRADIENTS, LABELS.astype(np.int32))])


def test_values__of_epochs_laid_end_to_end_are_their_sum(local: LocalSession, tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    epochs = [draw.gamma(1.0, size=N)[:, None] * draw.normal(size=(N, P)) for _ in range(3)]
    table = {**rows(), "gradient": np.concatenate(epochs, axis=1)}
    del table["loss"]
    values = values_of(local, tmp_path, table, variant="gradient")
    np.testing.assert_allclose(values, sum(map(dvspark.chg_value_arrays, epochs)), rtol=0, atol=1e-12)


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no column": ({"loss": None}, ["a column 'loss' (loss)", "Set train.loss"]),
    "words": ({"loss": ["much"] * N}, ["train column 'loss'", "a number", "cast it to double"]),
    "bad numbers": (
        {"loss": pa.array([None, float("nan"), -0.5, *LOSSES[3:]])},
        ["loss is null in 1 rows", "loss is negative, NaN or infinity in 2 rows"],
    ),
    "other lengths": (
        {"gradient": [GRADIENTS[0][:3], *GRADIENTS[1:]]},
        ["one dimension (5 in most rows)", "1 rows of 3"],
    ),
    "infinite": ({"gradient": [[np.inf] * P, *GRADIENTS[1:]]}, ["embedding holds NaN or infinity in 1 rows"]),
}


@pytest.mark.parametrize("name", BAD)
def test_tables__that_cannot_be_valued_are_named(local: LocalSession, tmp_path: Path, name: str) -> None:
    changed, said = BAD[name]
    table = {column: values for column, values in {**rows(), **changed}.items() if values is not None}
    with pytest.raises(InputError) as error:
        values_of(local, tmp_path, table)
    for words in said:
        assert words in str(error.value)


def test_losses__of_validation_rows_are_needed_too(local: LocalSession, tmp_path: Path) -> None:
    points = {"label": OTHERS["label"], "gradient": OTHERS["gradient"]}
    with pytest.raises(InputError, match=r"(?s)validation table .* a column 'loss'"):
        values_of(local, tmp_path, rows(), validation=points)


def test_parameters__of_training_are_refused(tmp_path: Path) -> None:
    settings = {"train": {"path": "t"}, "self_validation": True, "output": {"path": str(tmp_path)}}
    config = JobConfig(**settings, method="chg_shapley", source="gradients", epochs=3, learning_rate=0.1)
    assert {one.where for one in config.problems()} == {"parameter 'epochs'", "parameter 'learning_rate'"}


def test_arrays__without_losses_are_gradients_alone() -> None:
    given = {"method": "chg_shapley", "source": "gradients", "self_validation": True}
    with pytest.raises(DvsparkError, match="chg_value_arrays") as error:
        dvspark.value_arrays(GRADIENTS, LABELS, **given)
    assert isinstance(error.value, ConfigError | InputError)
    values = dvspark.value_arrays(GRADIENTS, LABELS, variant="gradient", **given)
    np.testing.assert_allclose(values, dvspark.chg_value_arrays(GRADIENTS), rtol=0, atol=1e-12)

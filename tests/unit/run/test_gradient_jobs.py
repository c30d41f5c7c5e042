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
from dvspark.tables.sources.metadata import Preview, preview
from dvspark.tables.sources.not_local import NotLocalError
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.rows import Rows

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
    for name, column in settings.pop("columns", {}).items():
        side, role = name.split(".")
        sides[side] = {**sides[side], role: column}
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


def of_epochs(n_epochs: int, seed: int, n: int = N) -> dict[str, Any]:
    """Return the columns of rows of which each is once in each epoch, in any order; epoch e has gradients of P + e."""
    draw = np.random.default_rng(seed)
    places = draw.permutation(n * n_epochs)
    rows, epochs = places % n, places // n
    losses = draw.gamma(1.0, size=len(places))
    losses[rows == 3] = 0.0  # a row that was learned by heart
    gradients = [draw.normal(size=P + epoch) + 0.3 for epoch in epochs]
    return {"id": IDS[rows], "label": LABELS[rows], "epoch": epochs, "loss": losses, "gradient": gradients}


def in_epoch(table: dict[str, Any], epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and gradients of the rows in one epoch, in ascending order of ids."""
    own = np.flatnonzero(table["epoch"] == epoch)
    own = own[np.argsort(table["id"][own])]
    return table["loss"][own], np.array([table["gradient"][row] for row in own])


def mean_over_epochs(variant: str, by: str, train: dict[str, Any], points: dict[str, Any] | None) -> np.ndarray:
    """Return what arrays of each epoch alone give, as means over the epochs, in ascending order of ids."""
    labels = LABELS[np.argsort(IDS)] if by == "label" else None
    found = list[np.ndarray]()
    for epoch in np.unique(train["epoch"]).tolist():
        losses, gradients = in_epoch(train, epoch)
        if variant == "hardness":
            games = [np.full(N, True)] if labels is None else [labels == label for label in range(3)]
            values = np.empty(N)
            for own in games:
                values[own] = dvspark.hardness_value_arrays(losses[own])
        else:
            target = None if points is None else in_game(variant, *in_epoch(points, epoch)).mean(axis=0)
            values = dvspark.chg_value_arrays(in_game(variant, losses, gradients), target, by=labels)
        found.append(values)
    return np.mean(found, axis=0)


@pytest.mark.parametrize(
    ("variant", "by", "aim"), [*((variant, by, "train") for variant in VARIANTS for by in ("all", "label")),
                               ("chg", "all", "validation"), ("gradient", "all", "validation")]
)  # fmt: skip
def test_values__of_several_epochs_are_means_over_them(
    local: LocalSession, tmp_path: Path, variant: str, by: str, aim: str
) -> None:
    train, points = of_epochs(3, 1), of_epochs(3, 2) if aim == "validation" else None
    columns = {"train.epoch": "epoch"} if points is None else {"train.epoch": "epoch", "validation.epoch": "epoch"}
    values = values_of(local, tmp_path, train, variant=variant, by=by, validation=points, columns=columns)
    values = values[[int(np.flatnonzero(train["id"] == one)[0]) for one in sorted(IDS)]]
    np.testing.assert_allclose(values, mean_over_epochs(variant, by, train, points), rtol=0, atol=1e-12)


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no column": ({"loss": None}, ["a column 'loss' (loss)", "set train.loss"]),
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


def moved_on(table: dict[str, Any]) -> None:
    """Put a row in the next epoch, in which its id has a row already."""
    epoch = (table["epoch"][0] + 1) % 3
    table["epoch"][0], table["gradient"][0] = epoch, np.ones(P + epoch)


BAD_EPOCHS: dict[str, tuple[Any, list[str]]] = {
    "an id not in each": (lambda table: table["id"].__setitem__(0, 9_999), ["others in 2 ids", "once in each of 3"]),
    "an id twice in one": (moved_on, ["others in 1 ids", "once in each of 3"]),
    "an id of two labels": (lambda table: table["label"].__setitem__(0, 7), ["others in 1 ids", "with the same label"]),
    "two lengths in one": (lambda table: table["gradient"].__setitem__(0, [1.0]), ["1 to ", "one length in an epoch"]),
    "a row of no epoch": (
        lambda table: table.__setitem__("epoch", pa.array([None, *table["epoch"][1:]])),
        ["none in 1 rows", "an epoch in each row"],
    ),
    "a loss that is none": (
        lambda table: table["loss"].__setitem__(slice(0, 2), [-1.0, np.inf]),
        ["loss is negative, NaN or infinity in 2 rows"],
    ),
    "no loss": (
        lambda table: table.__setitem__("loss", pa.array([None, *table["loss"][1:]])),
        ["loss is null in 1 rows"],
    ),
    "no gradient": (lambda table: table["gradient"].__setitem__(0, None), ["embedding is null in 1 rows"]),
    "a number missing": (
        lambda table: table["gradient"].__setitem__(0, [None, *table["gradient"][0][1:]]),
        ["embedding holds null in 1 rows"],
    ),
}


@pytest.mark.parametrize("name", BAD_EPOCHS)
def test_epochs__that_cannot_be_joined_are_named(local: LocalSession, tmp_path: Path, name: str) -> None:
    table, (change, said) = of_epochs(3, 1), BAD_EPOCHS[name]
    change(table)
    with pytest.raises(InputError) as error:
        values_of(local, tmp_path, table, columns={"train.epoch": "epoch"})
    for words in said:
        assert words in str(error.value)


@pytest.mark.parametrize("points", [of_epochs(2, 2), {**of_epochs(3, 2), "epoch": of_epochs(3, 2)["epoch"] + 1}])
def test_epochs__of_validation_rows_are_those_of_training_rows(
    local: LocalSession, tmp_path: Path, points: dict[str, Any]
) -> None:
    columns = {"train.epoch": "epoch", "validation.epoch": "epoch"}
    with pytest.raises(InputError, match="the same, with gradients of the same lengths"):
        values_of(local, tmp_path, of_epochs(3, 1), validation=points, columns=columns)


def test_epochs__are_previewed_and_set_aside_as_one_row_an_id(local: LocalSession, tmp_path: Path) -> None:
    table = of_epochs(3, 1)
    table["loss"][0] = -1.0
    side = {**written(tmp_path / "train.parquet", **table), "epoch": "epoch"}
    given = {"method": "chg_shapley", "source": "gradients", "on_bad_row": "reject", "self_validation": True}
    config = JobConfig(train=side, output={"path": str(tmp_path / "out")}, report=False, **given)
    rows = read_rows(local, "train", config.train_reference())
    assert isinstance(rows, Rows)
    told = preview(rows, config.train_reference())
    assert isinstance(told, Preview)
    assert (told.n_rows, told.n_features, told.dtype) == (N, 3 * P + 3, "float64")
    record = run(config, local)
    rejected = pq.read_table(tmp_path / "out" / "rejected").to_pylist()
    assert [(row["id"], row["reason"]) for row in rejected] == [
        (str(table["id"][0]), "loss is negative, NaN or infinity")
    ]
    assert record["inputs"]["train"]["n_rows"] == N - 1


def test_epochs__of_too_many_numbers_are_sparks(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvspark.tables.sources.epochs.MOST_NUMBERS", N * (P + P + 1) - 1)
    with pytest.raises(NotLocalError, match=rf"at most .* numbers of gradients(?s:.*){N * (P + P + 1)}"):
        values_of(local, tmp_path, of_epochs(2, 1), columns={"train.epoch": "epoch"})


def test_epochs__of_embeddings_or_of_one_table_alone_are_refused(tmp_path: Path) -> None:
    sides = {"train": {"path": "t", "epoch": "e"}, "output": {"path": str(tmp_path)}}
    config = JobConfig(**sides, validation={"path": "v"}, method="chg_shapley", source="gradients")
    assert [(one.where, one.got) for one in config.problems()] == [
        ("train.epoch, validation.epoch", "only train.epoch")
    ]
    for method in ("knn_shapley", "chg_shapley"):
        (problem,) = JobConfig(**sides, self_validation=True, method=method).problems()
        assert (problem.where, problem.got) == ("train.epoch", "'e'")


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

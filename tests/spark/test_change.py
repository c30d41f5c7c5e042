"""Runs with validation rows added or removed: what valuing all rows at once gives, or a refusal that says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from frames import Side, draw_data, with_rows, write_parquet
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import dvspark
from dvspark.errors import AuditError, ConfigError, InputError, OutputConflictError
from dvspark.runs.documents import sealed
from dvspark.runs.ledger import Ledger
from dvspark.tables.sinks import write
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

Command = Callable[..., int]

DATA = draw_data(60, 24, seed=71, id_type="string", label_type="string")
OWNERS = [f"owner {row % 7}" for row in range(60)]
FIRST, SECOND, THIRD = slice(0, 11), slice(11, 19), slice(19, 24)
# Totals of one of the exchanges, with what a run settles or certifies beside them, and what its values are of.
KINDS: dict[str, dict[str, Any]] = {
    "bins": {"method": "knn_shapley", "k": 4, "ranking": "binned", "error_bound": True},
    "radius": {"method": "threshold_knn_shapley"},
    "owners": {"method": "owner_knn_shapley", "k": 3, "aggregate": "sum"},
}


def _table(folder: Path, name: str, rows: slice) -> Path:
    return Path(write_parquet(folder / f"{name}.parquet", DATA.validation.take(rows)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables: train, and the validation rows in three parts."""
    place = tmp_path_factory.mktemp("tables")
    write_parquet(place / "train.parquet", DATA.train, owner=OWNERS)
    for name, rows in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        _table(place, name, rows)
    return place


def _words(folder: Path, options: dict[str, Any]) -> list[Any]:
    tables = ["--train", folder / "train.parquet", "--validation", folder / "first.parquet", "--report", "false"]
    return [*tables, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def _run(out: Path, run_id: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return a run's record, and its values by id."""
    values = pa.dataset.dataset(out / "values" / f"run_id={run_id}").to_table().to_pylist()
    return json.loads((out / "runs" / run_id / "run.json").read_text()), {row["id"]: row for row in values}


def _at_once(options: dict[str, Any], rows: list[int]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return ids, values and standard errors from one local call a validation row."""
    points = DATA.validation.take(rows)
    owned = {"owners": OWNERS} if "owner" in options["method"] else {}
    aggregate = options.get("aggregate", "mean")
    given = {name: value for name, value in options.items() if name != "aggregate"} | owned
    values = []
    for row in range(len(points)):
        one = points.take([row])
        found = dvspark.value_arrays(
            DATA.train.x, DATA.train.labels, one.x, one.labels, train_ids=DATA.train.ids, **given
        )
        values.append(found[0] if isinstance(found, tuple) else found)
    scale = len(points) if aggregate == "sum" else 1
    errors = np.std(values, axis=0, ddof=1) / np.sqrt(len(points))
    ids = sorted(set(OWNERS)) if owned else DATA.train.ids
    return ids, np.mean(values, axis=0) * scale, errors * scale


def _rows(*parts: slice) -> list[int]:
    return [row for part in parts for row in range(24)[part]]


def _check(out: Path, run_id: str, options: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """Check that a run's values are those of some validation rows; return its record."""
    record, values = _run(out, run_id)
    settled = {name: value for name, value in record["method"]["parameters"].items() if name in ("radius", "n_classes")}
    options = {**options, **settled}
    ids, expected, errors = _at_once(options, rows)
    np.testing.assert_allclose([values[i]["value"] for i in ids], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose([values[i]["standard_error"] for i in ids], errors, rtol=0, atol=1e-9)
    assert record["inputs"]["n_validation"] == len(rows)
    assert "fail" not in {finding["verdict"] for finding in record["findings"]}
    text = (out / "runs" / run_id / "metrics.prom").read_text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {s.value for s in samples if s.name == "dvspark_validation_points"} == {len(rows)}
    if "error_bound" in options:
        _check_certificate(record, values, options, rows)
    return record


def _check_certificate(
    record: dict[str, Any], values: dict[str, dict[str, Any]], options: dict[str, Any], rows: list[int]
) -> None:
    ids, expected, _ = _at_once({**options, "ranking": "sorted"}, rows)
    off = np.abs(np.array([values[i]["value"] for i in ids]) - expected)
    bounds = np.array([values[i]["error_bound"] for i in ids])
    assert record["ranking"] == "binned"
    assert record["error_bound"] == bounds.max()
    assert (bounds >= 0).all()
    assert (off <= bounds + 1e-15).all()


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def changed(command: Command, folder: Path, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a first run, of one with rows added to it, and of that one with the first rows removed."""
    out = tmp_path_factory.mktemp("out")
    assert command("value", *_words(folder, KINDS[kind]), "--run_id", "first", "--output", out) == 0
    add = ("--add-validation", folder / "second.parquet", out / "runs" / "first")
    assert command("value", *add, "--run_id", "added") == 0
    remove = ("--remove-validation", folder / "first.parquet", "added", "--output", out)
    assert command("value", *remove, "--run_id", "removed") == 0
    return out


def test_added__is_what_all_rows_at_once_give(changed: Path, kind: str) -> None:
    record = _check(changed, "added", KINDS[kind], _rows(FIRST, SECOND))
    first = json.loads((changed / "runs" / "first" / "run.json").read_text())
    told = {"run_id": "first", "fingerprint": first["fingerprint"], "change": "add", "n_rows": 8}
    assert record["parent"] == told
    assert record["method"] == first["method"]  # the same radius, the same number of classes


def test_removed__is_what_the_rest_gives(changed: Path, kind: str) -> None:
    record = _check(changed, "removed", KINDS[kind], _rows(SECOND))
    assert record["parent"]["run_id"] == "added"
    assert record["parent"]["change"] == "remove"


def test_changed__says_which_rows_it_rests_on(changed: Path) -> None:
    def ids(run_id: str) -> list[str]:
        table = pa.dataset.dataset(changed / "validation_rows" / f"run_id={run_id}").to_table()
        return sorted(table["id"].to_pylist())

    assert ids("added") == sorted(DATA.validation.take(_rows(FIRST, SECOND)).ids)
    assert ids("removed") == sorted(DATA.validation.take(SECOND).ids)


PLAIN = {"method": "knn_shapley", "k": 4}


@pytest.fixture(scope="module")
def plain(command: Command, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one run, which counts classes without needing them."""
    out = tmp_path_factory.mktemp("plain")
    assert command("value", *_words(folder, PLAIN), "--run_id", "first", "--output", out) == 0
    return out


@pytest.fixture
def published(plain: Path, tmp_path: Path) -> Path:
    """A copy of it, the test's own."""
    return Path(shutil.copytree(plain, tmp_path / "out"))


@pytest.mark.long
def test_changed_twice__is_what_all_rows_at_once_give(
    command: Command, folder: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for table, parent, run_id in (("second", "first", "two"), ("third", "two", "three")):
        add = ("--add-validation", folder / f"{table}.parquet", published / "runs" / parent)
        assert command("value", *add, "--run_id", run_id) == 0
    assert "60 training rows valued by 24 validation rows\n5 added to those of run two" in capsys.readouterr().out
    record = _check(published, "three", PLAIN, _rows(FIRST, SECOND, THIRD))
    labels = {*DATA.train.labels, *DATA.validation.labels}
    assert record["inputs"]["n_classes"] == len(labels)
    assert record["inputs"]["absent_labels"] == sorted(labels - set(DATA.train.labels))
    assert record["parent"]["run_id"] == "two"


@pytest.mark.long
def test_changed__again_is_not_repeated(command: Command, folder: Path, published: Path) -> None:
    add = ("--add-validation", folder / "second.parquet", published / "runs" / "first")
    assert command("value", *add) == 0
    runs = {path.name: path.stat().st_mtime_ns for path in published.glob("runs/*/run.json")}
    assert command("value", *add) == 0
    assert {path.name: path.stat().st_mtime_ns for path in published.glob("runs/*/run.json")} == runs


def _refused(command: Command, capsys: pytest.CaptureFixture[str], exit_code: int, *words: Any) -> str:
    """Return what a command says that is refused, and that publishes nothing."""
    capsys.readouterr()
    assert command("value", *words) == exit_code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def _other(published: Path, side: Side, **columns: Any) -> str:
    return write_parquet(published.parent / "other.parquet", side, **columns)


@pytest.mark.parametrize(
    ("change", "rows", "says"),
    [
        ("add", FIRST, "11 rows that are valued already"),
        ("add", slice(10, 13), "1 rows that are valued already"),
        ("remove", slice(10, 13), "2 rows that are not in it as they are"),
        ("remove", FIRST, "all 11 to remove"),
    ],
)
def test_change__of_the_wrong_rows_is_refused(
    command: Command, published: Path, capsys: pytest.CaptureFixture[str], change: str, rows: slice, says: str
) -> None:
    table = _other(published, DATA.validation.take(rows))
    words = (f"--{change}-validation", table, published / "runs" / "first", "--run_id", "bad")
    assert says in _refused(command, capsys, InputError.exit_code, *words)
    assert [path.name for path in (published / "runs").iterdir() if path.is_dir()] == ["first"]


@pytest.mark.long
def test_change__of_rows_that_were_others_is_refused(
    command: Command, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side = DATA.validation.take(slice(0, 2))
    remove = ("--remove-validation", _other(published, with_rows(side, x=side.x + 1)), published / "runs" / "first")
    assert "2 rows that are not in it as they are" in _refused(command, capsys, InputError.exit_code, *remove)
    doubles = _other(published, with_rows(DATA.validation.take(SECOND), x=DATA.validation.x[SECOND].astype(float)))
    add = ("--add-validation", doubles, published / "runs" / "first")
    assert "array<float>, as in first" in _refused(command, capsys, InputError.exit_code, *add)


def test_change__of_other_training_rows_is_refused_with_both_digests(
    command: Command, folder: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = _other(published, DATA.train.take(slice(1, 60)))
    words = ("--add-validation", folder / "second.parquet", published / "runs" / "first", "--train", train)
    said = _refused(command, capsys, InputError.exit_code, *words)
    digest = json.loads((published / "runs" / "first" / "run.json").read_text())["inputs"]["train"]["digest"]
    assert f"digest {digest[:12]}" in said
    assert "59 rows, digest " in said


@pytest.mark.long
def test_change__with_a_label_that_changes_counted_classes_is_refused(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "threshold_knn_shapley", "--radius", "2", "--run_id", "first", "--output", tmp_path / "out")
    assert command("value", *_words(folder, {}), *words) == 0
    side = DATA.validation.take(SECOND)
    table = _other(tmp_path / "out", side, label=["never seen", *side.labels[1:]])
    add = ("--add-validation", table, tmp_path / "out" / "runs" / "first")
    assert "'never seen'" in _refused(command, capsys, InputError.exit_code, *add)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["first", "--k", "5"], "'k'"),
        (["first", "--metric", "cosine"], "metric"),
        (["first", "--method", "soft_knn_shapley"], "'soft_knn_shapley'"),
        (["first", "--error_bound", "true"], "error_bound"),
        (["first", "--run_id", "first", "--force", "true"], "another id"),
        (["first", "--self_validation", "true"], "both"),
        (["unknown"], "a published run with runs/unknown/run.json"),
        (["../first"], "letters, digits"),
    ],
)
def test_change__with_other_settings_is_refused(
    command: Command, folder: Path, published: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    add = ("--add-validation", folder / "second.parquet", *words, "--output", published)
    said = _refused(command, capsys, ConfigError.exit_code, *add)
    assert says.strip("'") in said
    assert (published / "runs" / "first" / "run.json").exists()


def _seal_again(path: Path, **changed: Any) -> None:
    """Change a record as one who knows its seal would do it; None takes a setting away."""
    record = {**json.loads(path.read_text()), **changed}
    del record["sha256"]
    path.write_bytes(sealed({name: told for name, told in record.items() if (name, told) != ("configuration", None)}))


def test_change__of_a_run_with_the_totals_of_other_options_fails_its_audit(
    command: Command, folder: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("value", *_words(folder, {**PLAIN, "k": 9}), "--run_id", "other", "--output", published) == 0
    mine, others = published / "runs" / "first", published / "runs" / "other"
    (mine / "totals.npz").write_bytes((others / "totals.npz").read_bytes())
    _seal_again(mine / "run.json", totals_sha256=json.loads((others / "run.json").read_text())["totals_sha256"])
    add = ("--add-validation", folder / "second.parquet", mine)
    assert "audit: parent" in _refused(command, capsys, AuditError.exit_code, *add)


@pytest.mark.long
def test_change__of_a_run_whose_rows_are_gone_is_warned_of(
    command: Command, folder: Path, published: Path, tmp_path: Path
) -> None:
    table = shutil.copyfile(folder / "second.parquet", tmp_path / "second.parquet")
    assert command("value", "--add-validation", table, published / "runs" / "first", "--run_id", "with") == 0
    found = {finding["name"]: finding for finding in _run(published, "with")[0]["findings"]}
    assert (found["parent"]["verdict"], found["parent"]["measured"] < 1e-6) == ("pass", True)
    Path(table).unlink()
    remove = ("--remove-validation", folder / "first.parquet", published / "runs" / "with", "--run_id", "without")
    assert command("value", *remove) == 0
    found = {finding["name"]: finding for finding in _run(published, "without")[0]["findings"]}
    assert (found["parent"]["verdict"], "not at hand" in found["parent"]["meaning"]) == ("warn", True)


SHORTENED = {
    "a row less": lambda rows: rows.slice(1),
    "a row twice": lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]),
    "another hash": lambda rows: rows.set_column(1, "row_hash", [pa.array(np.arange(len(rows)), pa.int64())]),
    "another row": lambda rows: rows.set_column(0, "id", [pa.array([f"n{i}" for i in range(len(rows))])]),
}


@pytest.mark.parametrize("how", SHORTENED)
def test_change__of_a_run_whose_list_of_rows_was_edited_is_refused(
    command: Command, folder: Path, published: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    place = published / "validation_rows" / "run_id=first"
    (file,) = place.glob("*.parquet")
    rows = pq.read_table(file)
    for path in place.iterdir():
        path.unlink()
    pq.write_table(SHORTENED[how](rows).cast(rows.schema), file)
    add = ("--add-validation", folder / "second.parquet", published / "runs" / "first")
    assert "validation rows, as they were written" in _refused(command, capsys, ConfigError.exit_code, *add)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"self_validation": True}, "validation rows of its own"),
        ({"method": {"name": "chg_shapley", "parameters": {}}}, "whose values add up point by point"),
        ({"privacy": {"epsilon": 1.0}}, "without a private release"),
        ({"configuration": None}, "its configuration"),
        ({"totals_sha256": "0" * 64}, "another run's"),
        ({"metric": None}, "another file, without metric"),
        ({"inputs": {"train": {}}}, "inputs.absent_labels"),
    ],
)
def test_change__of_a_run_that_cannot_is_refused(
    command: Command,
    folder: Path,
    published: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, Any],
    says: str,
) -> None:
    path = published / "runs" / "first" / "run.json"
    _seal_again(path, **changed)
    add = ("--add-validation", folder / "second.parquet", path.parent)
    assert says in _refused(command, capsys, ConfigError.exit_code, *add)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("runs/first/totals.npz", "totals in runs/first/totals.npz"),
        ("runs/first/run.json", "a published run with runs/first/run.json"),
        ("validation_rows/run_id=first", "its validation rows in"),
    ],
)
@pytest.mark.parametrize("damage", ["gone", "cut short"])
def test_change__of_a_run_that_is_damaged_is_refused(
    command: Command,
    folder: Path,
    published: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    says: str,
    damage: str,
) -> None:
    place = published / name
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if damage == "gone" and place.is_dir():
        place.rmdir()
    says = "a record runs/first/run.json" if (name, damage) == ("runs/first/run.json", "cut short") else says
    add = ("--add-validation", folder / "second.parquet", published / "runs" / "first")
    assert says in _refused(command, capsys, ConfigError.exit_code, *add)


def _job(spark: SparkSession, folder: Path, out: Path, **settings: Any) -> dict[str, Any]:
    from dvspark.config.sources import load_config
    from dvspark.run.pipeline import run

    tables = {"train": str(folder / "train.parquet"), "validation": str(folder / "first.parquet")}
    given = {**tables, "output": str(out), "k": 4, "report": False, "run_id": "one", **settings}
    return run(load_config(None, given), spark)


@pytest.mark.parametrize("other", [{}, {"k": 5, "force": True}])
@pytest.mark.parametrize("moment", ["commit", "publish"])
def test_two_runs_at_once__the_first_goes_on_and_the_other_is_refused(
    spark: SparkSession,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: dict[str, Any],
    moment: str,
) -> None:
    # The second run is started at one moment of the first, the same one or one of other options.
    out, place = tmp_path / "out", Ledger if moment == "commit" else write
    true, refused = getattr(place, moment), list[str]()

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(place, moment, true)
        with pytest.raises(OutputConflictError) as second:
            _job(spark, folder, out, **other)
        refused.append(str(second.value))
        return true(*arguments, **named)

    monkeypatch.setattr(place, moment, meanwhile)
    first = _job(spark, folder, out)
    assert "one process at a time" in refused[0]
    record, values = _run(out, "one")
    assert [record[name] for name in ("fingerprint", "created")] == [first[name] for name in ("fingerprint", "created")]
    ids, expected, _ = _at_once(PLAIN, _rows(FIRST))
    np.testing.assert_allclose([values[i]["value"] for i in ids], expected, rtol=0, atol=1e-12)
    assert sorted(path.name for path in out.iterdir()) == ["runs", "validation_rows", "values"]
    assert [path.name for path in (out / "runs").iterdir() if path.is_dir()] == ["one"]


@pytest.mark.long
@pytest.mark.parametrize("other", [{}, {"k": 5, "force": True}])
def test_two_runs_at_once__one_that_was_taken_for_dead_publishes_nothing(
    spark: SparkSession, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    out, true, seconds = tmp_path / "out", write.publish, []

    def meanwhile(storage: Storage, *arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(write, "publish", true)
        for left in storage.names("_leases"):
            storage.remove_file(f"_leases/{left}")  # as another host does that has seen no beat
        seconds.append(_job(spark, folder, out, **other))
        return true(storage, *arguments, **named)

    monkeypatch.setattr(write, "publish", meanwhile)
    with pytest.raises(OutputConflictError, match="took this one for dead"):
        _job(spark, folder, out)
    assert _run(out, "one")[0]["fingerprint"] == seconds[0]["fingerprint"]
    assert sorted(path.name for path in out.iterdir()) == ["runs", "validation_rows", "values"]

"""The private method by the command line: noise is drawn once and kept, and owners see their own rows only."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet
import pytest
from frames import draw_data, write_parquet

from dvspark.errors import ComputeError, ConfigError, InputError, OutputConflictError
from dvspark.privacy import private_release, values_from_noisy_counts
from dvspark.run import admission, value
from dvspark.run.kinds import neighbors
from dvspark.runs.private import Identity

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

N_TRAIN, N_VALIDATION, RADIUS = 60, 24, 1.5
DATA = draw_data(N_TRAIN, N_VALIDATION, seed=81, n_features=3, id_type="string", label_type="string")
OWNERS = [f"owner {row % 4}" for row in range(N_TRAIN)]
BUDGET = ["--method", "dp_threshold_knn_shapley", "--epsilon", "1", "--delta", "1e-6", "--radius", str(RADIUS)]

Command = Callable[..., int]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that name the two tables, and the method."""
    folder = tmp_path_factory.mktemp("tables")
    train = write_parquet(folder / "train.parquet", DATA.train, owner=OWNERS)
    validation = write_parquet(folder / "validation.parquet", DATA.validation)
    return ["--train", train, "--validation", validation, *BUDGET]


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The noisy counts of each draw."""
    drawn: list[np.ndarray] = []

    def counted(*arguments: Any) -> np.ndarray:
        drawn.append(private_release(*arguments))
        return drawn[-1]

    monkeypatch.setattr(neighbors, "private_release", counted)
    return drawn


def _record(out: Path, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "runs" / run_id / "run.json").read_text())
    return found


def _whole(out: Path, run_id: str) -> dict[str, Any]:
    """Return the record with what is not published."""
    found: dict[str, Any] = json.loads((out / "private" / f"run_id={run_id}" / "record.json").read_text())
    return found


def _kept(out: Path, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "private" / f"run_id={run_id}" / "release.json").read_text())
    return found


def _values(folder: Path) -> pa.Table:
    return pa.dataset.dataset(folder, partitioning="hive").to_table().sort_by("id")


def _expected(kept: dict[str, Any]) -> dict[str, float]:
    """Return the values by row, from the noisy counts that were kept and nothing of other rows."""
    place = {key: row for row, key in enumerate(DATA.validation.ids)}
    total = np.zeros(N_TRAIN)
    for key, (match, other) in zip(kept["ids"], kept["noisy_counts"], strict=True):
        z, label = DATA.validation.x[place[key]].astype(float), DATA.validation.labels[place[key]]
        within = np.sqrt(((DATA.train.x.astype(float) - z) ** 2).sum(axis=1)) <= RADIUS
        of_match, of_other = values_from_noisy_counts(match, other, len(set(DATA.validation.labels)))
        total += np.where(within, np.where(np.array(DATA.train.labels) == label, of_match, of_other), 0.0)
    return dict(zip(DATA.train.ids, total / N_VALIDATION, strict=True))


@pytest.mark.long
def test_private_run__killed_after_the_draw_takes_what_was_kept_and_tells_owners_of_their_rows(
    command: Command, tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draws: list[np.ndarray]
) -> None:
    out, words = tmp_path / "out", ["--run_id", "private"]

    def killed(*_: Any) -> None:
        assert _kept(out, "private")["noisy_counts"] == draws[0].tolist()
        raise MemoryError("killed before any value")

    with monkeypatch.context() as patch:
        patch.setattr(value, "add_up", killed)
        assert command("value", *tables, *words, "--output", out) == ComputeError.exit_code
    assert sorted(path.name for path in out.iterdir()) == ["ledger", "private"]
    before = _kept(out, "private")

    # Other tables or options are another run, whose noise this is not.
    assert command("value", *tables, *words, "--epsilon", "2", "--output", out) == OutputConflictError.exit_code
    assert command("value", *tables, *words, "--output", out) == 0
    assert len(draws) == 1
    assert _kept(out, "private") == before

    assert sorted(path.name for path in out.iterdir()) == ["private", "runs", "values"]
    assert sorted(path.name for path in (out / "runs" / "private").iterdir()) == ["metrics.prom", "run.json"]
    folders = sorted((out / "values" / "run_id=private").glob("owner=*"))
    assert [folder.name for folder in folders] == [f"owner={owner}" for owner in sorted(set(OWNERS))]
    expected, owner_of = _expected(before), dict(zip(DATA.train.ids, OWNERS, strict=True))
    for folder in folders:
        own = _values(folder)
        ids, values = own["id"].to_pylist(), own["value"].to_numpy()
        assert {owner_of[row] for row in ids} == {folder.name.removeprefix("owner=")}
        np.testing.assert_allclose(values, [expected[row] for row in ids], rtol=0, atol=1e-12)
        # Their place among all rows would tell of the others.
        assert sorted(own["rank"].to_pylist()) == list(range(1, len(ids) + 1))
        assert (np.diff(values[np.argsort(own["rank"].to_numpy())]) <= 0).all()

    record = _record(out, "private")
    assert "lowest_rows" not in record
    assert "report" not in record["outputs"]
    assert {name: record["privacy"][name] for name in ("epsilon", "delta", "adjacency", "accountant")} == {
        "epsilon": 1.0,
        "delta": 1e-6,
        "adjacency": "add_remove",
        "accountant": "analytic Gaussian",
    }
    assert record["privacy"]["sensitivity"] == pytest.approx(math.sqrt(N_VALIDATION))
    assert record["privacy"]["sigma"] > record["privacy"]["sensitivity"]
    assert record["inputs"]["n_classes_source"] == "distinct labels in validation"
    assert (record["stages"], record["warnings"], record["plan"]) == ([], [], {})
    assert list(record["inputs"]["train"]) == ["types"]
    whole = _whole(out, "private")
    assert whole["inputs"]["train"]["n_rows"] == N_TRAIN
    assert stat.S_IMODE((out / "private").stat().st_mode) == 0o700
    names = [stage["stage"] for stage in whole["stages"]]
    assert names.index("neighbors") < names.index("value")
    assert "extremes" not in names
    # 1e-6 is far below one row in sixty.
    assert [warning for warning in whole["warnings"] if warning["where"] == "delta"] == []


def test_private_run__started_twice_at_once_is_one_run_with_one_draw(
    spark: SparkSession, tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draws: list[np.ndarray]
) -> None:
    from dvspark.config.sources import load_config, parse_overrides
    from dvspark.run.pipeline import run

    out, barrier, keep = tmp_path / "out", Barrier(2), admission.keep_identity

    def both(*arguments: Any) -> Identity:
        barrier.wait(120)  # each has an id of its own, and none is kept
        return keep(*arguments)

    monkeypatch.setattr(admission, "keep_identity", both)
    words = [*tables, "--output", str(out), "--publish_all_values", "--report", "false"]
    config = load_config(None, parse_overrides(words))
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(run, config, spark) for _ in range(2)]
    errors = [start.exception() for start in starts]
    # The later one is refused, or finds the run published already.
    assert {type(error) for error in errors if error is not None} <= {OutputConflictError}
    (run_id,) = (path.name for path in (out / "runs").iterdir() if path.is_dir())
    kept, values = _kept(out, run_id), _values(out / "values")
    assert [drawn.tolist() for drawn in draws] == [kept["noisy_counts"]]
    expected = _expected(kept)
    np.testing.assert_allclose(
        values["value"].to_numpy(), [expected[row] for row in values["id"].to_pylist()], rtol=0, atol=1e-12
    )
    names = sorted(path.name for path in (out / "private" / f"run_id={run_id}").iterdir())
    assert names == ["record.json", "release.json"]
    assert len(list((out / "private" / "budget").rglob("*.json"))) == 1


@pytest.mark.long
def test_private_run__of_a_sample_keeps_its_key_and_all_values_may_be_published_on_request(
    spark: SparkSession, command: Command, tables: list[str], tmp_path: Path, draws: list[np.ndarray]
) -> None:
    out = tmp_path / "out"
    asked = ["--publish_all_values", "true", "--sampling_rate", "0.5", "--delta", "0.02", "--run_id", "all"]
    assert command("value", *tables, *asked, "--output", out) == 0
    assert len(draws) == 1
    assert len(bytes.fromhex(_kept(out, "all")["sample_key"])) == 32
    assert (out / "runs" / "all" / "report.html").is_file()
    values = _values(out / "values")
    assert values["id"].to_pylist() == sorted(DATA.train.ids)
    assert sorted(values["rank"].to_pylist()) == list(range(1, N_TRAIN + 1))
    assert "owner" not in values.column_names
    record = _record(out, "all")
    assert (record["privacy"]["sampling_rate"], record["privacy"]["accountant"]) == (0.5, "PLD, dp-accounting")
    (warning,) = [warning for warning in _whole(out, "all")["warnings"] if warning["where"] == "delta"]
    assert "1 / 60" in warning["expected"]
    assert "sixty" not in warning["hint"]
    assert "publishing a few training rows" in warning["hint"]

    # The id is taken by these tables and options.
    other = [*tables[:2], "--validation", tables[1], *BUDGET]
    assert command("value", *other, *asked, "--output", out) == OutputConflictError.exit_code
    assert len(draws) == 1


def test_private_run__rows_without_an_owner_are_bad_rows(
    command: Command, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write_parquet(tmp_path / "train.parquet", DATA.train, owner=[None, *OWNERS[1:]])
    words = ["--train", train, *tables[2:], "--output", tmp_path / "out"]
    assert command("value", *words) == InputError.exit_code
    assert f"owner is null in 1 rows; the first: '{DATA.train.ids[0]}'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_private_run__a_table_without_owners_is_told_the_way_out(
    command: Command, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write_parquet(tmp_path / "train.parquet", DATA.train)
    words = ["--train", train, *tables[2:], "--output", tmp_path / "out"]
    assert command("value", *words) == InputError.exit_code
    err = capsys.readouterr().err
    for said in (
        "a column 'owner' (owner)",
        "set train.owner to the column's name. Each owner",
        "publish_all_values: true",
    ):
        assert said in err
    assert not (tmp_path / "out").exists()


def test_private_run__validation_rows_are_not_the_training_rows(
    command: Command, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tables[:2], *BUDGET, "--self_validation", "true", "--output", tmp_path / "out"]
    assert command("value", *words) == ConfigError.exit_code
    assert "give validation rows that may be known to all" in capsys.readouterr().err


def _published(out: Path) -> dict[str, Any]:
    """Return all that is not in private/, by place: documents without what is random, the values of all but owner 0.

    Ids and times are left out, and so is a document's sha256, in which they are.
    """
    found: dict[str, Any] = {}
    (run_id,) = (path.name for path in (out / "runs").iterdir() if path.is_dir())
    fingerprint = _record(out, run_id)["fingerprint"]
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        place = str(path.relative_to(out)).replace(run_id, "RUN")
        if place.startswith("private/") or "owner 0" in place or path.suffix == ".crc":
            continue
        if path.suffix == ".parquet":
            values = pa.parquet.ParquetFile(path).read()
            found[place.rsplit("/", 1)[0]] = values.sort_by("id").to_pydict()
        else:
            text = path.read_text().replace(str(out), "OUT").replace(run_id, "RUN").replace(fingerprint, "PRINT")
            found[place] = re.sub(
                r'"(created|published)": "[^"]*"|\n +"sha256": "[^"]*"|(created_timestamp_seconds.*) \d+', "", text
            )
    return found


@pytest.mark.long
def test_private_run__what_is_published_is_the_same_bytes_whatever_a_row_of_another_owner(
    command: Command, tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same noisy counts, whatever the rows: all that may tell of them.
    monkeypatch.setattr(neighbors, "private_release", lambda counts, _: np.full_like(counts, 5))
    flipped = list(DATA.train.labels)
    flipped[0] = next(label for label in flipped if label != flipped[0])
    more = dataclasses.replace(
        DATA.train,
        ids=[*DATA.train.ids, "one more"],
        x=np.vstack([DATA.train.x, DATA.train.x[:1] + 1]),
        labels=[*flipped, flipped[0]],
    )
    others = (dataclasses.replace(DATA.train, labels=flipped), OWNERS), (more, [*OWNERS, OWNERS[0]])
    seen, identities = [], set()
    for number, (rows, owners) in enumerate([(DATA.train, OWNERS), *others]):
        train, out = write_parquet(tmp_path / f"{number}.parquet", rows, owner=owners), tmp_path / f"out{number}"
        assert command("value", "--train", train, *tables[2:], "--radius", "auto", "--output", out) == 0
        seen.append(_published(out))
        (run_id,) = (path.name for path in (out / "runs").iterdir() if path.is_dir())
        identities |= {run_id, _record(out, run_id)["fingerprint"]}
        told = _record(out, run_id)["created"]  # no other time: how long it writes would tell of the table
        assert json.loads((out / "runs" / "latest.json").read_text())["published"] == told
    assert len(seen[0]) > 4
    assert seen[0] == seen[1] == seen[2]
    assert len(identities) == 6


@pytest.mark.long
def test_private_run__that_is_refused_draws_nothing_and_withdraws_nothing(
    command: Command,
    tables: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, budget = tmp_path / "out", ["--epsilon_budget", "1", "--delta_budget", "1e-6"]
    assert command("value", *tables, *budget, "--output", out) == 0
    (run_id,) = (path.name for path in (out / "runs").iterdir() if path.is_dir())

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def never(*_: Any) -> None:
        raise AssertionError("noise is drawn")

    monkeypatch.setattr(neighbors, "private_release", never)
    before = files()
    assert command("value", *tables, *budget, "--output", out) == 0  # found again, by tables and options
    long = write_parquet(tmp_path / "train.parquet", DATA.train, owner=["x" * 300, *OWNERS[1:]])
    for words, code, said in (
        (["--chunk_rows", "7"], 4, "1 releases"),
        (["--run_id", "other"], 4, "1 releases"),
        (["--run_id", "other", "--epsilon", "0.01", "--metric", "cosine", "--force", "true"], 4, "1 releases"),
        (["--run_id", run_id, "--chunk_rows", "7", "--force", "true"], 4, "a release is drawn once"),
        (["--train", long, "--run_id", run_id, "--force", "true"], 3, "longer than 255 bytes"),
        (["--epsilon", "1e-17", "--delta", "1e-18", "--force", "true"], 2, "noise of at most"),
    ):
        capsys.readouterr()
        assert command("value", *tables, *budget, *words, "--output", out) == code
        assert said in capsys.readouterr().err
        assert files() == before


@pytest.mark.long
def test_private_run__is_known_by_its_values_whose_digest_only_the_kept_record_has(
    command: Command, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, words = tmp_path / "out", [*tables, "--run_id", "private"]
    assert command("value", *words, "--output", out) == 0
    digest = _whole(out, "private")["values_sha256"]
    for path in (path for path in out.rglob("*") if path.is_file() and "private" not in path.relative_to(out).parts):
        assert digest.encode() not in path.read_bytes()
    assert command("value", *words, "--output", out) == 0

    file = next((out / "values").rglob("*.parquet"))
    values, content = pa.parquet.ParquetFile(file).read(), file.read_bytes()
    place = values.column_names.index("value")
    pa.parquet.write_table(values.set_column(place, "value", pa.compute.add(values["value"], 1e-9)), file)
    assert command("value", *words, "--output", out) == OutputConflictError.exit_code
    assert "the values that it has published" in capsys.readouterr().err
    file.write_bytes(content)
    (out / "private" / "run_id=private" / "record.json").unlink()
    assert command("value", *words, "--output", out) == OutputConflictError.exit_code
    assert "the whole record of a private run" in capsys.readouterr().err

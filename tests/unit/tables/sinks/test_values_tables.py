"""Tables of values: created with their meanings, one commit a run, columns added and never changed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from lake_tables import catalog_properties, open_catalog, write_delta

from dvspark.errors import ConfigError, OutputConflictError
from dvspark.schemas import VALUES
from dvspark.tables.sinks.values_commits import (
    LostRaceError,
    RunKey,
    ValuesTable,
    commit_values,
    new_columns,
    remove_values,
)
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.sinks.values_tables import output_problems, values_destination
from dvspark.tables.storage import open_storage

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

from deltalake.exceptions import CommitFailedError
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from dvspark.tables.sinks import write_delta as write_delta_module

TYPES = {"id": "string", "label": "array<bigint>", "embedding": "array<float>"}
SCHEMA = values_schema(TYPES, row_bounds=False)
WIDE = values_schema({**TYPES, "owner": "bigint"}, row_bounds=True)
RUN = RunKey("run-1", "f" * 64)


def _values(run: RunKey, schema: pa.Schema = SCHEMA, shift: float = 0.0) -> pa.Table:
    columns = {
        "run_id": [run.run_id] * 2,
        "id": ["a", "b"],
        "value": [0.5 + shift, -0.25],
        "standard_error": [None, 0.125],
        "rank": [1, 2],
        "label": [[1, 2], [3]],
        "owner": [7, 8],
        "error_bound": [0.0, 1e-9],
    }
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


class Delta:
    """A Delta table and what is in it."""

    def __init__(self, folder: Path) -> None:
        from dvspark.tables.sinks.write_delta import DeltaValues

        self.folder, self.table = folder, DeltaValues(str(folder / "values"))

    def opened(self) -> Any:
        from deltalake import DeltaTable

        return DeltaTable(self.table.place)

    def rows(self) -> list[dict[str, Any]]:
        return self.opened().to_pyarrow_table().sort_by([("run_id", "ascending"), ("rank", "ascending")]).to_pylist()

    def commits(self) -> list[Any]:
        """The runs of commits that added rows, the oldest first."""
        return [c.get("dvspark.run-id") for c in self.opened().history()[::-1] if c["operation"] == "WRITE"]

    def fingerprints(self) -> list[Any]:
        return [c.get("dvspark.fingerprint") for c in self.opened().history()]

    def meanings(self) -> dict[str, str]:
        return {field.name: field.metadata["comment"] for field in self.opened().schema().fields}

    def properties(self) -> dict[str, str]:
        return self.opened().metadata().configuration

    def partitioning(self) -> list[str]:
        return self.opened().metadata().partition_columns


class Iceberg:
    """An Iceberg table and what is in it."""

    def __init__(self, folder: Path) -> None:
        from dvspark.tables.sinks.write_iceberg import IcebergValues

        self.catalog, self.table = open_catalog(folder / "lake"), IcebergValues("lake.results.values")

    def opened(self) -> Any:
        return self.catalog.load_table("results.values")

    def rows(self) -> list[dict[str, Any]]:
        return self.opened().scan().to_arrow().sort_by([("run_id", "ascending"), ("rank", "ascending")]).to_pylist()

    def commits(self) -> list[Any]:
        return [s.summary.additional_properties.get("dvspark.run-id") for s in self.opened().snapshots()]

    def fingerprints(self) -> list[Any]:
        return [s.summary.additional_properties.get("dvspark.fingerprint") for s in self.opened().snapshots()]

    def meanings(self) -> dict[str, str]:
        return {field.name: field.doc for field in self.opened().schema().fields}

    def properties(self) -> dict[str, str]:
        return self.opened().properties

    def partitioning(self) -> list[str]:
        return [field.name for field in self.opened().spec().fields]


@pytest.fixture(params=[Delta, Iceberg], ids=["delta", "iceberg"])
def lake(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table that is not there yet."""
    config = {"catalog": {"lake": catalog_properties(tmp_path / "lake")}}
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", config)
    return request.param(tmp_path)


def test_commit__creates_the_table_as_documented(lake: Any) -> None:
    assert lake.table.columns() is None
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.rows() == _values(RUN).to_pylist()
    assert lake.meanings() == {column.name: column.meaning for column in VALUES.columns}
    assert lake.properties()["dvspark.schema_version"] == "1"
    assert lake.partitioning() == ["run_id"]
    assert lake.commits() == ["run-1"]


def test_commit__a_retry_is_no_second_one(lake: Any) -> None:
    for _ in range(3):
        commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.commits() == ["run-1"]
    assert lake.rows() == _values(RUN).to_pylist()


def test_commit__other_runs_live_beside_it(lake: Any) -> None:
    other = replace(RUN, run_id="run-2")
    for run in (RUN, other, RUN, other):
        commit_values(lake.table, _values(run), SCHEMA, run)
    assert lake.commits() == ["run-1", "run-2"]
    assert lake.rows() == _values(RUN).to_pylist() + _values(other).to_pylist()


def test_commit__replaces_what_another_run_of_that_id_left(lake: Any) -> None:
    unpublished, beside = replace(RUN, fingerprint="0" * 64), replace(RUN, run_id="run-0")
    commit_values(lake.table, _values(beside), SCHEMA, beside)
    commit_values(lake.table, _values(unpublished, shift=1.0), SCHEMA, unpublished)
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.rows() == _values(beside).to_pylist() + _values(RUN).to_pylist()


def test_commit__comes_again_after_its_rows_were_deleted(lake: Any) -> None:
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    lake.opened().delete("run_id = 'run-1'")
    assert lake.rows() == []
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.rows() == _values(RUN).to_pylist()


def test_columns__that_a_run_has_first_are_added(lake: Any) -> None:
    wide = replace(RUN, run_id="run-2")
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    commit_values(lake.table, _values(wide, WIDE), WIDE, wide)
    last = replace(RUN, run_id="run-3")
    commit_values(lake.table, _values(last), SCHEMA, last)  # and lacks them again
    null = {"owner": None, "error_bound": None}
    expected = [row | null for row in _values(RUN).to_pylist()] + _values(wide, WIDE).to_pylist()
    assert lake.rows() == expected + [row | null for row in _values(last).to_pylist()]
    assert lake.meanings() == {field.name: field.metadata[b"comment"].decode() for field in WIDE}
    assert lake.commits() == ["run-1", "run-2", "run-3"]


def test_columns__of_another_type_are_refused(lake: Any) -> None:
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    other = values_schema({"id": "bigint", "label": "array<string>"}, row_bounds=False)
    with pytest.raises(OutputConflictError) as refusal:
        new_columns(lake.table, other)
    assert [(p.expected, p.got) for p in refusal.value.problems] == [
        ("bigint", "string"),
        ("array<string>", "array<bigint>"),
    ]
    assert refusal.value.exit_code == 4


def test_columns__that_must_be_there_are_not_added(lake: Any) -> None:
    lake.table.create(pa.schema([SCHEMA.field("run_id"), SCHEMA.field("id")]))
    with pytest.raises(OutputConflictError, match="columns value, standard_error, rank, label"):
        new_columns(lake.table, SCHEMA)


def test_create__a_second_time_leaves_the_table(lake: Any) -> None:
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    lake.table.create(SCHEMA)
    assert lake.rows() == _values(RUN).to_pylist()


def _around_commit(lake: Any, monkeypatch: pytest.MonkeyPatch, around: Callable[[Callable[[], Any]], Any]) -> None:
    """Let ``around`` make the commits that add rows, each of which has been decided on by then."""
    if isinstance(lake, Delta):
        write = write_delta_module.write_deltalake
        monkeypatch.setattr(write_delta_module, "write_deltalake", lambda *a, **k: around(lambda: write(*a, **k)))
        return
    commit_table = SqlCatalog.commit_table

    def commit(self: Any, table: Any, requirements: Any, updates: Any) -> Any:
        adds = any(update.action == "add-snapshot" for update in updates)
        made = partial(commit_table, self, table, requirements, updates)
        return around(made) if adds else made()

    monkeypatch.setattr(SqlCatalog, "commit_table", commit)


@pytest.mark.parametrize("left", [None, "0" * 64], ids=["append", "overwrite"])
def test_commit__of_one_run_started_twice_is_one(lake: Any, monkeypatch: pytest.MonkeyPatch, left: str | None) -> None:
    lake.table.create(SCHEMA)
    if left is not None:
        lake.table.commit(_values(RUN, shift=1.0), replace(RUN, fingerprint=left))
    barrier, met = Barrier(2), itertools.count()

    def around(commit: Callable[[], Any]) -> Any:
        if next(met) < 2:  # each has looked, none has committed
            barrier.wait(60)
        return commit()

    _around_commit(lake, monkeypatch, around)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(commit_values, lake.table, _values(RUN), SCHEMA, RUN) for _ in range(2)]
    assert [future.exception() for future in done] == [None, None]
    assert next(met) >= 2
    assert lake.rows() == _values(RUN).to_pylist()
    ours = [c for c in lake.fingerprints() if c == RUN.fingerprint]
    assert len(ours) == (2 if isinstance(lake, Iceberg) and left else 1)  # an overwrite is a delete and an append


def test_commit__of_one_run_id_with_other_options_at_once_is_one_of_them(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [replace(RUN, fingerprint=digit * 64) for digit in "12"]
    lake.table.create(SCHEMA)
    barrier, met = Barrier(2), itertools.count()

    def around(commit: Callable[[], Any]) -> Any:
        if next(met) < 2:  # each has looked, none has committed
            barrier.wait(60)
        return commit()

    _around_commit(lake, monkeypatch, around)
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(commit_values, lake.table, _values(run, shift=shift), SCHEMA, run)
            for shift, run in enumerate(runs)
        ]
    assert [future.exception() for future in done] == [None, None]
    last = lake.table.written_by(RUN.run_id)
    shift = [run.fingerprint for run in runs].index(last)
    assert lake.rows() == _values(RUN, shift=shift).to_pylist()


def test_remove__takes_the_rows_of_one_run_in_a_commit(lake: Any) -> None:
    remove_values(lake.table, RUN.run_id)  # from a table that is not there
    other = replace(RUN, run_id="run-12")
    for run in (RUN, other):
        commit_values(lake.table, _values(run), SCHEMA, run)
    for _ in range(2):
        remove_values(lake.table, RUN.run_id)
        assert lake.rows() == _values(other).to_pylist()
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.rows() == _values(RUN).to_pylist() + _values(other).to_pylist()


def test_commit__of_several_runs_at_once_is_one_each(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [replace(RUN, run_id=f"run-{number}") for number in range(3)]
    barrier, met = Barrier(3), itertools.count()

    def around(commit: Callable[[], Any]) -> Any:
        if next(met) < 3:
            barrier.wait(60)
        return commit()

    _around_commit(lake, monkeypatch, around)
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(commit_values, lake.table, _values(run), SCHEMA, run) for run in runs]
    assert [future.exception() for future in done] == [None] * 3
    assert lake.rows() == [row for run in runs for row in _values(run).to_pylist()]
    assert sorted(lake.commits()) == ["run-0", "run-1", "run-2"]


@pytest.mark.parametrize("lands", [True, False])
def test_commit__whose_answer_is_lost_is_looked_for_first(
    lake: Any, monkeypatch: pytest.MonkeyPatch, lands: bool
) -> None:
    lake.table.create(SCHEMA)
    tries = itertools.count()

    def around(commit: Callable[[], Any]) -> Any:
        if next(tries):
            return commit()
        if lands:
            commit()
        raise CommitFailedError("no answer") if isinstance(lake, Delta) else CommitStateUnknownException("no answer")

    _around_commit(lake, monkeypatch, around)
    commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert lake.commits() == ["run-1"]
    assert lake.rows() == _values(RUN).to_pylist()
    assert next(tries) == (1 if lands else 2)


def test_commit__that_never_gets_an_answer_is_refused(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.table.create(SCHEMA)

    def around(commit: Callable[[], Any]) -> Any:
        raise CommitFailedError("busy") if isinstance(lake, Delta) else CommitFailedException("busy")

    _around_commit(lake, monkeypatch, around)
    with pytest.raises(OutputConflictError, match=r"(?s)busy.*start it again") as refused:
        commit_values(lake.table, _values(RUN), SCHEMA, RUN)
    assert refused.value.exit_code == 4
    assert lake.commits() == []


def test_delta__a_path_that_deltalake_takes_for_another_is_refused(tmp_path: Path) -> None:
    table = Delta(tmp_path / "out[1]").table
    with pytest.raises(ConfigError, match=r"output\.path"):
        new_columns(table, SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_delta__a_table_of_other_partitions_is_refused(tmp_path: Path) -> None:
    from dvspark.tables.sinks.write_delta import DeltaValues

    table = DeltaValues(write_delta(tmp_path / "t", _values(RUN).cast(pa.schema(list(SCHEMA)))))
    with pytest.raises(OutputConflictError, match="partitioned by run_id"):
        table.columns()


# --- where values go --------------------------------------------------------------------------------------


def test_destination__a_folder_has_one_kind_of_values(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    assert values_destination(storage, None, "parquet", None) is None
    table: ValuesTable | None = values_destination(storage, None, "delta", None)
    assert table is not None
    commit_values(table, _values(RUN), SCHEMA, RUN)
    with pytest.raises(OutputConflictError, match="a Delta table"):
        values_destination(storage, None, "parquet", None)
    (tmp_path / "other" / "values" / "run_id=a").mkdir(parents=True)
    with pytest.raises(OutputConflictError, match="folders of Parquet files"):
        values_destination(open_storage(str(tmp_path / "other")), None, "delta", None)


def test_iceberg__a_catalog_nobody_knows_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from dvspark.tables.sinks.write_iceberg import IcebergValues

    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", {})
    with pytest.raises(ConfigError, match="nobody"):
        IcebergValues("nobody.db.t").columns()


@pytest.mark.parametrize(
    ("form", "table", "to_owners", "where"),
    [
        ("orc", None, False, "output.format"),
        ("parquet", "a b", False, "output.table"),
        ("parquet", "a.b; drop", False, "output.table"),
        ("iceberg", None, False, "output.table"),
        ("iceberg", "db.values", False, "output.table"),
        ("delta", "db.values", False, "output"),
        ("delta", None, True, "output"),
        ("parquet", "db.values", True, "output"),
    ],
)
def test_output__that_cannot_be_is_a_problem(form: str, table: str | None, to_owners: bool, where: str) -> None:
    (problem,) = output_problems(form, table, to_owners=to_owners)
    assert problem.where == where


@pytest.mark.parametrize(
    ("form", "table"),
    [("parquet", None), ("delta", None), ("iceberg", "lake.db.values"), ("parquet", "spark_catalog.db.values")],
)
def test_output__that_can_be_is_none(form: str, table: str | None) -> None:
    assert output_problems(form, table, to_owners=False) == []


def test_catalog__a_table_is_created_and_grows_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark")
    from dvspark.tables.sinks.write_catalog import CatalogValues

    said: list[str] = []
    columns = pa.schema(list(SCHEMA))
    spark = SimpleNamespace(
        sql=said.append,
        catalog=SimpleNamespace(tableExists=lambda name: len(said) > 0, currentCatalog=lambda: "lake"),
        conf=SimpleNamespace(get=lambda name, default: default),
        table=lambda name: SimpleNamespace(limit=lambda n: SimpleNamespace(toArrow=columns.empty_table)),
    )
    table = CatalogValues("lake.db.values", spark)
    assert new_columns(table, SCHEMA) is None
    table.create(SCHEMA)
    assert said[0].startswith("CREATE TABLE IF NOT EXISTS `lake`.`db`.`values` (`run_id` string COMMENT 'the run that")
    assert "`label` array<bigint> COMMENT 'its label; null for an owner') PARTITIONED BY (run_id)" in said[0]
    assert said[0].endswith("TBLPROPERTIES ('dvspark.schema_version' = '1')")
    lacking = new_columns(table, WIDE)
    assert lacking is not None
    table.add_columns(lacking)
    assert said[1].startswith("ALTER TABLE `lake`.`db`.`values` ADD COLUMNS (`owner` bigint COMMENT 'its owner, ")


@pytest.mark.parametrize(
    ("said", "met"),
    [
        ("org.apache.iceberg.exceptions.CommitFailedException: Cannot commit: stale table metadata", True),
        ("org.apache.iceberg.exceptions.CommitStateUnknownException: connection reset", True),
        ("org.apache.iceberg.exceptions.ValidationException: Found conflicting files that can contain records", True),
        ("io.delta.exceptions.ConcurrentAppendException: Files were added by a concurrent update", True),
        ("[DELTA_CONCURRENT_WRITE] ConcurrentWriteException: A concurrent transaction has written new data", True),
        ("java.lang.OutOfMemoryError: Java heap space", False),
        ("org.apache.iceberg.exceptions.ValidationException: Cannot write incompatible dataset", False),
    ],
)
def test_catalog__a_commit_that_met_another_is_tried_again(
    said: str, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark")
    from pyspark.sql import functions

    from dvspark.tables.sinks import values_commits
    from dvspark.tables.sinks.write_catalog import CatalogValues

    tries = 0

    def overwrite(_: Any) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError(said)

    spark = SimpleNamespace(
        catalog=SimpleNamespace(tableExists=lambda name: True, currentCatalog=lambda: "lake"),
        conf=SimpleNamespace(get=lambda name, default: default),
        table=lambda name: SimpleNamespace(
            limit=lambda n: SimpleNamespace(toArrow=SCHEMA.empty_table), schema=SimpleNamespace(fields=[])
        ),
        createDataFrame=lambda values: SimpleNamespace(writeTo=lambda name: SimpleNamespace(overwrite=overwrite)),
    )
    monkeypatch.setattr(functions, "col", lambda name: name)  # which needs a session
    table = CatalogValues("lake.db.values", spark)
    with pytest.raises(LostRaceError if met else RuntimeError, match="start it again" if met else "Java|dataset"):
        commit_values(table, SCHEMA.empty_table(), SCHEMA, RunKey("r", "f" * 64))
    assert tries == (values_commits.COMMIT_TRIES if met else 1)

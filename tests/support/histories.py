"""Histories of runs in one output folder, without Spark: jobs that are killed, lose answers, or meet other writers.

The pipeline is the true one; in place of reading and valuing tables there are a few rows that follow from an option.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from lake_tables import catalog_properties, open_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitStateUnknownException

from dvspark.config.job import JobConfig
from dvspark.run import pipeline
from dvspark.run.presenting import presenting
from dvspark.runs.latest import latest_run
from dvspark.runs.ledger import Ledger
from dvspark.tables.sinks import write, write_delta
from dvspark.tables.sinks.values_commits import RunKey, commit_values
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.sinks.write import values_table
from dvspark.tables.sinks.write_iceberg import IcebergValues
from dvspark.tables.storage import Storage, open_storage

SCHEMA = values_schema({"id": "string", "label": "bigint"}, row_bounds=False)
N_ROWS = 5
TABLE = "lake.results.values"
SPARK: Any = SimpleNamespace(version="none")
# Rows that a file has: so a run has several.
ROWS_PER_FILE = 2


class KilledError(BaseException):
    """A process that is gone: it does nothing any more, whatever it had to clean up."""


@dataclass
class Fault:
    """What happens at one of a job's operations: it is killed ``before`` or ``after``, or its answer is ``lost``."""

    at: int | None = None
    how: str = "before"
    watch: Callable[[int], None] = lambda number: None
    count: int = 0
    is_dead: bool = False
    watching: bool = False

    def guarded(self, operation: Callable[..., Any], lost: Callable[[], Exception]) -> Callable[..., Any]:
        """Return an operation as it goes in this process."""

        def guarded(*arguments: Any, **options: Any) -> Any:
            if self.watching:  # somebody else's
                return operation(*arguments, **options)
            if self.is_dead:
                raise KilledError
            number, self.count = self.count, self.count + 1
            self.watching = True
            self.watch(number)
            self.watching = False
            if number == self.at and self.how == "before":
                self.is_dead = True
                raise KilledError
            done = operation(*arguments, **options)
            if number == self.at:
                self.is_dead = self.how == "after"
                raise KilledError if self.is_dead else lost()
            return done

        return guarded

    @contextmanager
    def struck(self) -> Iterator[None]:
        """Let all that a job changes pass by this fault."""
        changes: list[tuple[Any, str, Callable[[], Exception]]] = [
            (Storage, name, lambda: OSError("no answer"))
            for name in ("write", "rename", "remove_file", "remove_empty", "_delete")
        ]
        changes += [(write_delta, "write_deltalake", lambda: CommitFailedError("no answer"))]
        changes += [(DeltaTable, name, lambda: CommitFailedError("no answer")) for name in ("create", "delete")]
        changes += [(SqlCatalog, "commit_table", lambda: CommitStateUnknownException("no answer"))]
        with ExitStack() as stack:
            for owner, name, lost in changes:
                true = getattr(owner, name)
                replaced: Any = self.guarded(true, lost)
                stack.enter_context(mock.patch.object(owner, name, replaced))
            yield


@dataclass
class World:
    """An output folder, a catalog, and what is known to be published."""

    folder: Path
    storage: Storage = field(init=False)
    catalog: Any = field(init=False)

    def __post_init__(self) -> None:
        self.storage = open_storage(str(self.folder / "out"))
        self.catalog = open_catalog(self.folder / "lake")

    @contextmanager
    def known(self) -> Iterator[None]:
        """Make the catalog known to pyiceberg."""
        config = {"catalog": {"lake": catalog_properties(self.folder / "lake")}}
        with mock.patch("pyiceberg.catalog._ENV_CONFIG.config", config):
            yield

    def job(self, run_id: str, option: int, form: str, fault: Fault, *, force: bool, out: str = "out") -> str:
        """Run a job; return how it ended: "done", the name of its error, or "killed"."""
        output = {"path": str(self.folder / out), "format": form, "table": TABLE if form == "iceberg" else None}
        config = JobConfig(
            train={"path": "t"}, validation={"path": "v"}, output=output, run_id=run_id, force=force, report=False
        )
        valued = _Valued(run_id, option)
        with ExitStack() as stack:
            stack.enter_context(self.known())
            for name in ("read_tables", "validate_tables", "compute"):
                stack.enter_context(mock.patch.object(pipeline, name, return_value=valued))
            stack.enter_context(mock.patch.object(presenting, "run_metrics", str))
            # Leases know the living from the dead by processes, which are one here.
            alone = nullcontext(SimpleNamespace(require=lambda: None))
            stack.enter_context(mock.patch.object(pipeline, "held", return_value=alone))
            stack.enter_context(mock.patch.object(write, "ROWS_PER_FILE", ROWS_PER_FILE))
            stack.enter_context(fault.struck())
            try:
                record = pipeline.run(config, SPARK)
            except KilledError:
                return "killed"
            except Exception as error:
                return type(error).__name__
        assert record["fingerprint"] == valued.fingerprint
        return "done"

    def record(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record as it is told to anybody, or None."""
        file = self.folder / "out" / "runs" / run_id / "run.json"
        return json.loads(file.read_text()) if file.exists() else None

    def latest(self) -> str | None:
        """Return the run that is named as the latest, if it is there."""
        return (latest_run(self.storage) or {}).get("run_id")

    def rows(self, form: str, run_id: str) -> list[dict[str, Any]]:
        """Return a run's rows as a reader of their place finds them, by rank; none where there is no such place."""
        values = self.folder / "out" / "values"
        if form == "parquet":
            if (values / "_delta_log").exists() or not (values / f"run_id={run_id}").exists():
                return []
            found = ds.dataset(values, partitioning="hive").to_table(filter=ds.field("run_id") == run_id)
        elif form == "delta":
            if not (values / "_delta_log").exists():
                return []
            found = DeltaTable(values).to_pyarrow_table(filters=[("run_id", "=", run_id)])
        else:
            if not self.catalog.table_exists("results.values"):
                return []
            found = self.catalog.load_table("results.values").scan(row_filter=f"run_id = '{run_id}'").to_arrow()
        return found.select(SCHEMA.names).sort_by("rank").to_pylist()

    def table(self, form: str) -> Any:
        """Return the table of a format."""
        return IcebergValues(TABLE) if form == "iceberg" else write_delta.DeltaValues(f"{self.folder}/out/values")

    def other_writer(self, form: str, run_id: str) -> None:
        """Let somebody else publish a run, in the same table where there is one."""
        values = clean(run_id, 7)
        if form != "parquet":
            with self.known():
                commit_values(self.table(form), values, SCHEMA, RunKey(run_id, "e" * 64))
            return
        place = self.folder / "out" / "values" / f"run_id={run_id}"
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(values.drop_columns("run_id"), place / "part.parquet")


def clean(run_id: str, option: int) -> pa.Table:
    """Return the values that a run with an option has, whatever happened before."""
    keys = pa.table({"id": [f"row {i}" for i in range(N_ROWS)], "label": np.arange(N_ROWS) % 2})
    values = np.random.default_rng(option).normal(size=N_ROWS)
    return values_table(run_id, keys, values, None).select(SCHEMA.names).cast(SCHEMA)


class _Valued:
    """What is `Checked`, and `Computed`, of a run that is done."""

    may_change, parent, extremes, review, types, schema, secret = False, None, None, None, {}, SCHEMA, None

    def __init__(self, run_id: str, option: int) -> None:
        self.run_id, self.fingerprint = run_id, f"{option:x}" * 64
        self.option = option
        self.finalized = SimpleNamespace(table=clean(run_id, option), by_task=None)
        rows = SimpleNamespace(require_unchanged=lambda: None)
        facts = SimpleNamespace(n_rows=N_ROWS)
        self.inputs = SimpleNamespace(train=rows, validation=rows, train_facts=facts, rejected=None, n_rejected=0)

    @property
    def checked(self) -> _Valued:
        return self

    def ledger(self, files: Any) -> Ledger:
        return Ledger(files, self.run_id, self.fingerprint)

    def record(self, outputs: dict[str, str], _stages: Any, session: Any) -> dict[str, Any]:
        types = {"id": "string", "embedding": "array<float>", "label": "bigint"}
        inputs = {"train": {"n_rows": N_ROWS, "types": types}, "n_validation": 3}
        told = {"run_id": self.run_id, "fingerprint": self.fingerprint, "outputs": outputs, "spark": session.version}
        told["created"] = datetime.now(UTC).isoformat()  # finer than the true one: jobs here take milliseconds
        return {
            **told,
            "inputs": inputs,
            "method": {"name": "knn_shapley", "parameters": {}},
            "findings": [],
            "option": self.option,
        }

"""Market files: the values that `dvspark pay` and `dvspark select` start from, and the two files that each writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.cli.words import place_of
from dvspark.cli.writing import write_together
from dvspark.errors import ConfigError, Problem, shown
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.market.given_tables import csv_bytes, is_file, parquet_bytes, read_given_values, require_free
from dvspark.tables.sinks.published_values import read_by_task, read_record, read_values, require_shown_together


@dataclass(frozen=True)
class AskedValues:
    """A table of ``values``, the ``name`` of its run or file, and the run's ``method``; None: a person's own values."""

    values: pa.Table
    name: str
    method: str | None = None


def asked_values(place: str, task: str | None = None) -> AskedValues:
    """Return the values of a run, or of a CSV or Parquet file, as a person names it; ``task``: by its rows alone.

    Raises: ConfigError for a run that is not published, hides each owner's values from others, or has no such task;
    OutputConflictError for a damaged one; InputError for a file that holds no such table.
    """
    if is_file(place):
        if task is not None:
            hint = "give the run, whose folder by_task/ has them; or a file with the values of the task alone"
            raise ConfigError(Problem("--task", "a task of a run", f"{task!r} of the file {place}", hint))
        return AskedValues(read_given_values(place), Path(place).stem)
    output, run_id = place_of(place)
    record = read_record(output, run_id)
    name = str(record["run_id"])
    require_shown_together(record)
    if task is not None:
        told = {str(one["task"]): one["task"] for one in record.get("tasks", [])}
        by_task = read_by_task(output, record)
        if by_task is None or task not in told:
            got = f"{task!r}; the run has {shown(list(told)) if told else 'none'}"
            hint = "value with validation.task, the column that names the task of each validation row"
            raise ConfigError(Problem("--task", f"a task of run {name}", got, "" if told else hint))
        values = by_task.filter(pc.equal(by_task["task"], told[task])).sort_by("rank")
        return AskedValues(values, f"{name}-{_as_file_name(task)}", str(record["method"]["name"]))
    return AskedValues(read_values(output, name), name, str(record["method"]["name"]))


def _as_file_name(task: str) -> str:
    """Return a task with its letters and digits as they are, for the name of a file."""
    return re.sub(r"[^\w.-]", "_", task)[:100]


def free_places(to: str) -> list[Path]:
    """Return where the CSV and the Parquet file go. Raises: OutputConflictError if something is there."""
    places = [Path(f"{to}.csv"), Path(f"{to}.parquet")]
    require_free(*places)
    return places


def write_both(places: Sequence[Path], table: pa.Table, told: Sequence[str]) -> None:
    """Write a table to both places, and say what was ``told`` and where it is.

    Raises: OutputConflictError if something has come there meanwhile, ConfigError if it cannot be written.
    """
    write_together(dict(zip(places, (csv_bytes(table), parquet_bytes(table)), strict=True)))
    tell("\n".join([*told, *(f"wrote {visible(str(path))}" for path in places)]) + "\n")

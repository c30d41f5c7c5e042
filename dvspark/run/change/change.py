"""Change: a published run gets or loses validation rows; of its other rows, a few are valued again as a check."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dvspark.errors import ConfigError, InputError, Problem, shown, written
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.run.change.hashed_rows import ROW_HASH, rows_seal
from dvspark.runs.documents import missing_in
from dvspark.runs.files import Files, read_if_there
from dvspark.runs.kept_totals import KeptTotals
from dvspark.runs.ledger import digest
from dvspark.runs.published import record_of
from dvspark.schemas import Partial
from dvspark.tables.sources.read import published_rows
from dvspark.tables.sources.rows import Rows
from dvspark.tables.sources.unreadable import condition_of, spark_errors
from dvspark.tables.table_checks import ValidatedInputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Options in the run record that decide values.
SAME = ("metric", "precision", "ties", "aggregate")
# What a change takes over from the run record, and from the configuration in it.
USED = {
    **dict.fromkeys(("run_id", "fingerprint", *SAME), str),
    "method.name": str,
    "method.parameters": dict,
    "row_bounds": bool,
    "inputs.train.digest": str,
    "inputs.train.n_rows": int,
    "inputs.validation.types": dict,
    "inputs.n_validation": int,
    "inputs.n_classes_source": str,
    "inputs.absent_labels": list,
}
USED_SETTINGS = {
    "configuration.validation": dict,
    "configuration.output": dict,
    "totals_sha256": str,
    "validation_rows": dict,
}
FIRST_IDS = 5
# The utilities of all rows may come to so many times those of the rows that stay. Taking away the others leaves
# rounding in proportion to all; from some ten million times on, it is more than the audit's efficiency allows.
MOST_TIMES_LARGER = 1e6


@dataclass(frozen=True)
class Parent:
    """The run whose validation rows change: its ``record``, the totals it ``kept``, and its ``rows`` (id, row_hash).

    ``valued``, in `ROWS` format, are the rows that the parent has valued itself, read from where its record says; None
    if they are not at hand.
    """

    record: dict[str, Any]
    kept: KeptTotals
    rows: DataFrame
    change: str
    valued: DataFrame | None = None

    def described(self, n_rows: int) -> dict[str, Any]:
        """Return what the new run's record says about the parent."""
        names = ("run_id", "fingerprint")
        return {**{name: self.record[name] for name in names}, "change": self.change, "n_rows": n_rows}

    def classes(self, inputs: ValidatedInputs) -> tuple[int, list[str | int]]:
        """Return the number of classes, those of the parent included, and all labels that no training row has."""
        absent = {*self.record["inputs"]["absent_labels"], *inputs.absent_labels}
        return inputs.n_classes + len(absent) - len(inputs.absent_labels), sorted(absent, key=str)

    def changed(self, of_rows: Partial) -> Partial:
        """Return the parent's totals plus those of the added rows, or less those of the removed rows.

        Raises: InputError for removed rows beside which those that stay are lost in rounding.
        """
        totals = copy.deepcopy(self.kept.totals)
        if self.change == "add":
            return totals.plus(of_rows)
        before, totals = totals.size, totals.minus(of_rows)
        if not before <= MOST_TIMES_LARGER * totals.size:
            expected = f"rows whose utilities are at most {MOST_TIMES_LARGER:.0e} times those of the rows that stay"
            got = f"utilities of up to {before:.3g} before, of {max(totals.size, 0.0):.3g} without these rows"
            hint = "value the rows that stay at once: what is taken away would leave its rounding in their values"
            raise InputError(Problem("validation rows to remove", expected, got, hint))
        return totals

    @property
    def sign(self) -> int:
        """1 if the totals of the change's rows are added, -1 if they are subtracted."""
        return 1 if self.change == "add" else -1


def parent_record(files: Files, run_id: str) -> dict[str, Any]:
    """Return the record of a run that can change. Raises: ConfigError if it is not published, or cannot change."""
    record, got = record_of(files, run_id, USED, asked="run to change")
    if record is None:
        expected = f"a record runs/{run_id}/run.json of this version, as it was written"
        raise ConfigError(Problem(f"run {run_id}", expected, got, "value all rows at once"))
    if problems := _obstacles(record):
        raise ConfigError(problems)
    return record


def _obstacles(record: dict[str, Any]) -> list[Problem]:
    """Return why a run cannot change, whatever the rows."""
    where, problems = f"run {record['run_id']}", []
    if record.get("self_validation"):
        hint = "its validation rows are the training rows: value the new table"
        problems.append(Problem(where, "a run with validation rows of its own", "self_validation", hint))
    method = METHODS.get(record["method"].get("name"))
    if method is not None and not method.adds_up:
        hint = "value all rows at once: they are one game"
        problems.append(Problem(where, "a run whose values add up point by point", method.name, hint))
    if record.get("privacy") is not None:
        hint = "publish a release of all validation rows at once: each release spends the budget"
        problems.append(Problem(where, "a run without a private release", record["method"]["name"], hint))
    if isinstance(groups := record.get("groups"), dict):
        hint = "value all rows at once: totals of groups are not kept"
        got = f"rows told apart by {', '.join(map(str, groups.get('by', [])))}"
        problems.append(Problem(where, "a run whose validation rows all count alike", got, hint))
    if not problems and (lost := missing_in(record, USED_SETTINGS)):
        hint = "value all rows at once; runs of this version keep what a change needs"
        problems.append(Problem(where, "a record with its configuration", f"none of {', '.join(lost)}", hint))
    return problems


def parent_totals(files: Files, record: dict[str, Any]) -> KeptTotals:
    """Return the totals that a run has published. Raises: ConfigError if they are gone."""
    name, hint = f"runs/{record['run_id']}/totals.npz", "value all rows at once"
    content = read_if_there(files, name)
    if content is None:
        raise ConfigError(Problem(f"run {record['run_id']}", f"totals in {name}", "none", hint))
    if digest(content) != record["totals_sha256"]:
        got = "a damaged file, or another run's"
        raise ConfigError(Problem(f"run {record['run_id']}", f"its totals in {name}", got, hint))
    return KeptTotals.read(content)


def parent_rows(spark: SparkSession, spark_path: Callable[[str], str], record: dict[str, Any]) -> DataFrame:
    """Return (id, row_hash) of the validation rows on which a published run rests.

    Raises: ConfigError if some are gone, or not as they were written.
    """
    rows = published_rows(spark, spark_path, record["run_id"])
    told = record["validation_rows"]
    try:
        got = rows_seal(rows)
    except spark_errors() as error:  # a file that Spark reads only now
        got = {"n_rows": condition_of(error)[1]}
    if got != told:
        where, expected = f"run {record['run_id']}", f"its {told.get('n_rows')} validation rows, as they were written"
        raise ConfigError(Problem(where, expected, f"{got['n_rows']}, or others", "value all rows at once"))
    return rows


def own_rows(spark: SparkSession, spark_path: Callable[[str], str], parent: Parent, given: Rows) -> DataFrame | None:
    """Return those of the ``given`` rows that the parent has valued itself, and not taken over from its own parent.

    None if they cannot be told from others. ``given`` are the rows that are now where the parent's record says.
    """
    if given.types != parent.record["inputs"]["validation"]["types"]:
        return None
    had, now, before = given.data_frame.selectExpr("*", ROW_HASH), parent.rows, parent.record.get("parent")
    if before is not None:
        try:
            earlier = published_rows(spark, spark_path, before["run_id"])
        except ConfigError:
            return None
        now, earlier = (now, earlier) if before["change"] == "add" else (earlier, now)
        now = now.join(earlier, ["id", "row_hash"], "left_anti")
    return had.join(now, ["id", "row_hash"], "left_semi").select(*given.types)


def option_problems(record: dict[str, Any], options: ValueOptions, run_id: str | None) -> list[Problem]:
    """Return which options, or which new run id, do not fit the run that is to change."""
    method, settings = record["method"], options.record()
    problems = []
    if run_id == record["run_id"]:
        hint = "both stay published; leave run_id out to have one derived"
        problems.append(Problem("run_id", "another id than that of the run that changes", written(run_id), hint))
    pairs = [("method", method["name"], options.method), ("error_bound", record["row_bounds"], options.error_bound)]
    pairs += [(name, record[name], settings[name]) for name in SAME]
    given = {name: value for name, value in options.parameters.items() if value is not None}
    # An automatic radius stays the one that was found.
    pairs += [
        (name, method["parameters"][name], value)
        for name, value in given.items()
        if name in method["parameters"] and value != "auto"
    ]
    hint = f"values of {record['run_id']} were made with the first: leave the setting out"
    problems += [Problem(name, f"{before!r}", f"{now!r}", hint) for name, before, now in pairs if before != now]
    return problems


def require_fitting(parent: Parent, inputs: ValidatedInputs) -> None:
    """Refuse tables that cannot change the run: other training rows, or validation rows unlike those it has.

    Raises: InputError.
    """
    record = parent.record
    before, now = record["inputs"]["train"], inputs.train_facts
    problems = []
    for name, was in record["inputs"]["validation"]["types"].items():
        if (given := inputs.validation.types.get(name, "none")) != was:
            hint = "cast it: rows are told apart by their id, embedding and label"
            problems.append(Problem(f"validation column {name}", f"{was}, as in {record['run_id']}", given, hint))
    if parent.change == "remove" and inputs.validation_facts.n_rows == record["inputs"]["n_validation"]:
        got = f"all {inputs.validation_facts.n_rows} to remove"
        problems.append(Problem("validation rows", "at least one that is left", got, "leave the run as it is"))
    if before["digest"] != now.digest:
        got = f"{now.n_rows} rows, digest {now.digest[:12]}"
        hint = "every value depends on all training rows: value everything again"
        expected = f"the {before['n_rows']} training rows of {record['run_id']}, digest {before['digest'][:12]}"
        problems.append(Problem(f"train table {inputs.train.reference}", expected, got, hint))
    known = set(record["inputs"]["absent_labels"])
    new = [label for label in inputs.absent_labels if label not in known]
    if new and record["inputs"]["n_classes_source"] != "given" and "n_classes" in record["method"]["parameters"]:
        got = f"{len(new)} others; the first: {shown(new[:FIRST_IDS])}"
        hint = "they change the number of classes, which was counted: value everything again, or with n_classes given"
        problems.append(Problem("validation labels", f"labels that {record['run_id']} has seen", got, hint))
    if problems:
        raise InputError(problems)


def without_known(parent: Parent, rows: Rows) -> tuple[Rows, DataFrame | None]:
    """Return the rows to add whose ids the parent does not have, and the others as `REJECTED`, or None."""
    ids = parent.rows.select("id")
    told = (
        "'validation' AS side",
        "cast(id AS string) AS id",
        f"'valued already in {parent.record['run_id']}' AS reason",
    )
    known = rows.data_frame.join(ids, "id", "left_semi").selectExpr(*told)
    if parent.change != "add" or known.isEmpty():
        return rows, None
    return rows.with_frame(rows.data_frame.join(ids, "id", "left_anti").select(*rows.types)), known


def changed_rows(parent: Parent, rows: Rows) -> DataFrame:
    """Return (id, row_hash) of the validation rows after the change.

    Raises: InputError for rows to add that are there already, or rows to remove that are not there in this form.
    """
    told = rows.data_frame.selectExpr("id", ROW_HASH)
    if parent.change == "add":
        _refuse(told.join(parent.rows.select("id"), "id", "left_semi"), "added", "are valued already", parent)
        return parent.rows.unionByName(told)
    _refuse(told.join(parent.rows, ["id", "row_hash"], "left_anti"), "removed", "are not in it as they are", parent)
    return parent.rows.join(told.select("id"), "id", "left_anti")


def _refuse(bad: DataFrame, what: str, why: str, parent: Parent) -> None:
    first = [row["id"] for row in bad.select("id").orderBy("id").limit(FIRST_IDS).collect()]
    if first:
        got = f"{bad.count()} rows that {why}; the first: {shown(first)}"
        hint = "leave these rows out"
        where, expected = "validation rows", f"rows that can be {what} to or from run {parent.record['run_id']}"
        raise InputError(Problem(where, expected, got, hint))

"""Values tables: where the values of a run go, a folder of Parquet files or a table that takes them in one commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dvspark.arguments import choice_problems
from dvspark.errors import OutputConflictError, Problem, written
from dvspark.local.session import LocalSession
from dvspark.tables.sinks.values_commits import ValuesTable
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.pinned import require_library
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from dvspark.local.session import Session

KINDS = {"parquet": "folders of Parquet files", "delta": "a Delta table", "iceberg": "an Iceberg table"}
FORMATS = tuple(KINDS)

TABLE_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")


def output_problems(form: str, table: str | None, *, to_owners: bool) -> list[Problem]:
    """Return what is wrong with where values should go; ``to_owners``: each owner gets a folder."""
    problems = choice_problems("output.format", form, FORMATS)
    if table is not None and not TABLE_NAME.fullmatch(table):
        expected = "names of letters, digits, '_' or '-', with dots between them"
        problems.append(Problem("output.table", expected, written(table), "e.g. catalog.namespace.table"))
    if form == "iceberg" and (table is None or table.count(".") < 2):
        expected, got = "a table of a catalog pyiceberg knows", table or "none"
        problems.append(Problem("output.table", expected, got, "give CATALOG.NAMESPACE.TABLE"))
    if form == "delta" and table is not None:
        hint = "drop output.format for a table of Spark's catalogs, output.table for the folder values/"
        problems.append(Problem("output", "one place for values", "format delta and a table", hint))
    if to_owners and (form != "parquet" or table is not None):
        expected, got = "format parquet: a folder an owner", f"table {table}" if table else f"format {form}"
        problems.append(Problem("output", expected, got, "or set publish_all_values: true"))
    return problems


def values_destination(storage: Storage, session: Session, form: str, table: str | None) -> ValuesTable | None:
    """Return the table that values go to, or None for a folder of Parquet files.

    Raises: ConfigError if the library of a format is not installed, OutputConflictError if the folder has the other
    kind.
    """
    if form == "iceberg":
        require_library("iceberg")
        from dvspark.tables.sinks.write_iceberg import IcebergValues  # noqa: PLC0415 - an extra

        return IcebergValues(str(table))
    if table is not None:
        from dvspark.tables.sinks.write_catalog import CatalogValues  # noqa: PLC0415 - an extra

        if isinstance(session, LocalSession):
            raise not_local("output.table", "parquet, delta, or iceberg in a catalog of pyiceberg's", table)
        return CatalogValues(table, session)
    kind = values_kind(storage)
    if kind is not None and kind != form:
        got, hint = KINDS[kind], "choose another output.path or format"
        raise OutputConflictError(Problem(storage.shown_path("values"), f"values as {form}", got, hint))
    if form != "delta":
        return None
    require_library("delta")
    from dvspark.tables.sinks.write_delta import DeltaValues  # noqa: PLC0415 - an extra

    return DeltaValues(storage.shown_path("values"))


def values_kind(storage: Storage, folder: str = "values") -> str | None:
    """Return the format of a folder: delta or iceberg by the log in it, otherwise parquet; None if it is empty."""
    if storage.exists(f"{folder}/_delta_log"):
        return "delta"
    if any(name.endswith(".metadata.json") for name in storage.names(f"{folder}/metadata")):
        return "iceberg"
    return "parquet" if storage.folders(folder) or storage.names(folder) else None

"""Lake: Delta and Iceberg tables as Spark DataFrames, read by Spark's connector or else by their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.folders import literal
from dvspark.tables.sources.npy_shards import NPY
from dvspark.tables.sources.pinned import VERSIONED, Pinned, file_key, latest_at, pinned
from dvspark.tables.sources.plain import STRICT
from dvspark.tables.sources.types import spark_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

    from dvspark.tables.sources.reference import TableReference

# Names of the connectors' options that choose one state.
VERSION_OPTION = {"delta": "versionAsOf", "iceberg": "snapshot-id"}

# Names of Spark's errors for a format without connector, and for a table name that none of its catalogs can have.
MISSING = ("DATA_SOURCE_NOT_FOUND", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")

FILE = "_dvspark_file"


def lake_frame(spark: SparkSession, side: str, reference: TableReference) -> tuple[DataFrame, dict[str, Any]]:
    """Return one state of a Delta or Iceberg table, and what the run record says about this state.

    The state is settled before anything is read, so later commits do not show.
    Raises: InputError and ConfigError as `pinned`; Spark's own errors if it has the connector.
    """
    if has_connector(spark, reference):
        version = _version_by_spark(spark, side, reference)
        reader = spark.read.option(VERSION_OPTION[reference.format], version)
        frame = reader.table(reference.table) if reference.table else _load(reader, reference)
        return frame, {"format": reference.format, VERSIONED[reference.format][1]: version, "reader": "spark"}
    found = pinned(side, reference)
    used = set(reference.columns().values())
    outside = [] if found.partitions is None else found.partitions.column_names
    by = "files" if used.isdisjoint(outside) else "log"  # of which a file may have a column of the same name
    return frame_of_files(spark, found), {"format": found.format, **found.record(), "reader": by}


def has_connector(spark: SparkSession, reference: TableReference) -> bool:
    """Return whether this Spark can read the format; for a table, whether one of Spark's catalogs has it."""
    from pyspark.errors import PySparkException  # noqa: PLC0415 - an extra

    try:
        if reference.table is not None:
            return bool(spark.catalog.tableExists(reference.table))
        _ = _load(spark.read, reference).schema
    except PySparkException as error:
        return not is_missing(error)  # Spark has the connector, and the connector says what is wrong with the table
    except Exception as error:  # classic Spark passes on this Java exception as it is
        if not is_missing(error):
            raise
        return False
    return True


def is_missing(error: Exception) -> bool:
    """Return whether an error of Spark says that a connector or catalog is missing."""
    return any(condition in str(error) for condition in MISSING)


def frame_of_files(spark: SparkSession, found: Pinned) -> DataFrame:
    """Return the rows of a table's files, with the columns that only its metadata has, without structs and maps."""
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    outside = found.partitions.column_names if found.partitions is not None else []
    types = {field.name: kind for field in found.schema if (kind := spark_type(field.type)) is not None}
    if not found.files:
        return spark.createDataFrame([], _ddl(types))
    stored = _ddl({name: kind for name, kind in types.items() if name not in outside})
    frame = spark.read.schema(stored).options(**STRICT).parquet(*map(literal, found.files))
    if found.partitions is None:
        return frame
    # Spark escapes the path in its metadata; file names alone may repeat.
    decoded = "url_decode(replace(_metadata.file_path, '+', '%2B'))"
    keyed = frame.selectExpr("*", rf"regexp_replace({decoded}, '^[A-Za-z][A-Za-z0-9+.-]*:/*|^/+', '') AS {FILE}")
    keys = [[file_key(path) for path in found.files]]
    by_file = found.partitions.append_column(FILE, keys).append_column("_known", [[True] * len(found.files)])
    values = spark.createDataFrame(by_file)
    joined = keyed.join(sf.broadcast(values), FILE, "left")
    lost = f"raise_error(concat('no partition values of file ', {FILE}))"
    columns = [
        sf.expr(f"if(_known, {_quoted(name)}, {lost})").alias(name) if name in outside else sf.col(_quoted(name))
        for name in types
    ]
    return joined.select(*columns)


def _load(reader: Any, reference: TableReference) -> DataFrame:
    frame: DataFrame = reader.format(reference.format).load(str(reference.path))
    return frame


def _version_by_spark(spark: SparkSession, side: str, reference: TableReference) -> int:
    """Return the version or snapshot id that is asked for, or else the latest, as the connector reports it."""
    asked = reference.version if reference.format == "delta" else reference.snapshot
    if asked is not None:
        return asked
    if reference.format == "delta":
        name = reference.table or f"delta.{_quoted(str(reference.path))}"
        history = spark.sql(f"DESCRIBE HISTORY {name}").selectExpr("timestamp AS at", "version AS state")
    else:
        made = spark.table(f"{reference.table}.history") if reference.table else None
        made = made if made is not None else spark.read.format("iceberg").load(f"{reference.path}#history")
        history = made.selectExpr("made_current_at AS at", "snapshot_id AS state")
    rows = history.selectExpr("unix_millis(at) AS at", "state").orderBy("at", "state").collect()
    states = [(row["at"], row["state"]) for row in rows]
    if not states:
        got = "no commit"
        raise InputError(Problem(f"{side} table {reference}", "a table with a commit", got, "write rows to it first"))
    return states[-1][1] if reference.timestamp is None else latest_at(side, reference, states)


def _ddl(types: dict[str, str]) -> str:
    return ", ".join(f"{_quoted(name)} {kind}" for name, kind in types.items())


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def reader_of(spark: SparkSession, name: str) -> DataFrameReader:
    """Return Spark's reader of a format; a session learns those that come with dvspark here."""
    if name == NPY:
        from dvspark.tables.sources.npy_source import NpySource  # noqa: PLC0415 - an extra

        spark.dataSource.register(NpySource)
    return spark.read.format(name)

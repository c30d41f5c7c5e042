"""Lake: Delta and Iceberg tables, of states that are lists of files; Spark's connector reads one, or its files are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.folders import literal
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.pinned import VERSIONED, Pinned, file_key, latest_at, require_files
from dvspark.tables.sources.plain import STRICT, refuse
from dvspark.tables.sources.reader import Reader, SparkTable, TableFiles, WholeTable
from dvspark.tables.sources.row_files import local_path
from dvspark.tables.sources.types import ddl_of, quoted, spark_type
from dvspark.tables.sources.unreadable import is_missing
from dvspark.tables.sources.whole_tables import rows_of, unwritable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

FILE = "_dvspark_file"


@dataclass(frozen=True)
class LakeReader(Reader):
    """Reads one state of a Delta or Iceberg table, which is settled before anything is read: later commits do not show.

    ``option``: the name of the connector's option that chooses a state.
    """

    option: ClassVar[str]

    @abstractmethod
    def pinned(self) -> Pinned:
        """Return the state that is asked for, or else the latest one, without Spark.

        Cost: the table's metadata; for an Iceberg table whose columns have changed, also the footers of its files.
        Raises: ConfigError if the extra is not installed, InputError if the files of a table are not its rows.
        """

    def settled(self) -> Pinned:
        """Return the state as `pinned` does. Raises: as it, and InputError for files that are gone."""
        found = self.pinned()
        require_files(self.side, self.reference, found.files)
        return found

    @abstractmethod
    def history(self, spark: SparkSession) -> DataFrame:
        """Return when (``at``) which ``state`` of the table was made, as the connector reports it."""

    def require_whole(self, version: int) -> None:
        """Raise InputError for a log that is damaged up to a version, though readers do not tell."""

    def stored_names(self, names: list[str]) -> dict[str, str]:  # noqa: ARG002 - which Iceberg needs
        """Return what columns may be called in files that have none of their own name."""
        return {}

    def files(self) -> TableFiles:
        """Return the files of the state. Raises: as `settled`, NotLocalError."""
        self.require_local()
        self._require_format()
        found = self.settled()
        paths = [local_path(path) for path in found.files]
        if None in paths:
            first = found.files[paths.index(None)]
            raise not_local(self.where, "files of this machine", f"{first}, of format {self.reference.format}")
        types = {field.name: kind for field in found.schema if (kind := spark_type(field.type)) is not None}
        told = {str(path): dict(of_file) for path, of_file in zip(paths, found.by_file(), strict=True)}
        return TableFiles(types, told, self._record(found))

    def frame(self, spark: SparkSession) -> SparkTable:
        """Return the state by Spark's connector, or else by its files. Raises: as `settled`; Spark's own errors."""
        self._require_format()
        if self._has_connector(spark):
            version = self._version(spark)
            self.require_whole(version)
            of_spark = spark.read.option(self.option, version)
            frame = of_spark.table(self.reference.table) if self.reference.table else self._loaded(of_spark)
            source = {"format": self.reference.format, VERSIONED[self.reference.format][1]: version, "reader": "spark"}
            return SparkTable(frame, source)
        found = self.settled()
        source = self._record(found)
        in_files = source["reader"] == "files" and self.reference.table is None
        frame = frame_of_files(spark, found, self.stored_names(found.schema.names))
        return SparkTable(frame, source, in_files=in_files)

    def at(self, source: Mapping[str, Any]) -> Self:
        """Return what reads the state that a run recorded."""
        asked, recorded = VERSIONED[self.reference.format]
        state: dict[str, Any] = {"version": None, "snapshot": None, "timestamp": None, asked: source.get(recorded)}
        return replace(self, reference=replace(self.reference, **state))

    def whole(self) -> WholeTable:
        """Return all columns of the state. Raises: ConfigError, InputError."""
        if self.only_spark():
            raise unwritable(self)
        found = self.settled()
        stored_as = self.stored_names(found.schema.names)

        def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
            for path, told in zip(found.files, found.by_file(), strict=True):
                with pq.ParquetFile(path.removeprefix("file://")) as file:
                    yield from rows_of(file, found.schema, columns, told, stored_as)

        return WholeTable(self.reference.format, found.schema, read, partitions=found.outside)

    def _require_format(self) -> None:
        """Raise InputError for a folder that is a table of another format."""
        if self.reference.path is not None:
            refuse(contradiction(self.side, self.reference.path, self.reference.format))

    def _record(self, found: Pinned) -> dict[str, Any]:
        """Return what the run record says about a state that is read by its files."""
        used = set(self.reference.columns().values())
        by = "files" if used.isdisjoint(found.outside) else "log"  # of which a file may have a column of the same name
        return {"format": found.format, **found.record(), "reader": by}

    def _has_connector(self, spark: SparkSession) -> bool:
        """Return whether this Spark can read the format; for a table, whether one of Spark's catalogs has it."""
        from pyspark.errors import PySparkException  # noqa: PLC0415 - an extra

        try:
            if self.reference.table is not None:
                return bool(spark.catalog.tableExists(self.reference.table))
            _ = self._loaded(spark.read).schema
        except PySparkException as error:
            return not is_missing(error)  # Spark has the connector, and the connector says what is wrong with the table
        except Exception as error:  # classic Spark passes on this Java exception as it is
            if not is_missing(error):
                raise
            return False
        return True

    def _loaded(self, of_spark: DataFrameReader) -> DataFrame:
        return of_spark.format(self.reference.format).load(str(self.reference.path))

    def _version(self, spark: SparkSession) -> int:
        """Return the version or snapshot id that is asked for, or else the latest, as the connector reports it."""
        asked: int | None = getattr(self.reference, VERSIONED[self.reference.format][0])
        if asked is not None:
            return asked
        rows = self.history(spark).selectExpr("unix_millis(at) AS at", "state").orderBy("at", "state").collect()
        states = [(row["at"], row["state"]) for row in rows]
        if not states:
            got = "no commit"
            raise InputError(Problem(self.where, "a table with a commit", got, "write rows to it first"))
        return states[-1][1] if self.reference.timestamp is None else latest_at(self.side, self.reference, states)


def frame_of_files(spark: SparkSession, found: Pinned, stored_names: Mapping[str, str] | None = None) -> DataFrame:
    """Return the rows of a table's files, with the columns that only its metadata has, without structs and maps.

    ``stored_names``: what columns are called in files that have none of their own name.
    """
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    outside = found.outside
    types = {field.name: kind for field in found.schema if (kind := spark_type(field.type)) is not None}
    if not found.files:
        return spark.createDataFrame([], ddl_of(types))
    inside = {name: kind for name, kind in types.items() if name not in outside}
    # Spark reads nulls as a column that a file lacks, so each file is asked for both names.
    others = {name: other for name, other in (stored_names or {}).items() if name in inside and other not in types}
    stored = ddl_of(inside | {other: types[name] for name, other in others.items()})
    frame = spark.read.schema(stored).options(**STRICT).parquet(*map(literal, found.files))

    def column(name: str) -> Any:
        return sf.coalesce(*(sf.col(quoted(one)) for one in (name, others.get(name)) if one)).alias(name)

    if found.partitions is None:
        return frame.select(*map(column, types)) if others else frame
    # Spark escapes the path in its metadata; file names alone may repeat.
    decoded = "url_decode(replace(_metadata.file_path, '+', '%2B'))"
    keyed = frame.selectExpr("*", rf"regexp_replace({decoded}, '^[A-Za-z][A-Za-z0-9+.-]*:/*|^/+', '') AS {FILE}")
    keys = [[file_key(path) for path in found.files]]
    by_file = found.partitions.append_column(FILE, keys).append_column("_known", [[True] * len(found.files)])
    values = spark.createDataFrame(by_file)
    joined = keyed.join(sf.broadcast(values), FILE, "left")
    lost = f"raise_error(concat('no partition values of file ', {FILE}))"
    columns = [
        sf.expr(f"if(_known, {quoted(name)}, {lost})").alias(name) if name in outside else column(name)
        for name in types
    ]
    return joined.select(*columns)

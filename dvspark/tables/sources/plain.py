"""Plain tables: files in a folder without a log that says which files count; each column must have one meaning."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from dvspark.errors import ConfigError, InputError, Problem, shown
from dvspark.tables.sources.class_labels import unlabeled
from dvspark.tables.sources.folders import NUMBER, Folders, below, folders_of, literal, twins
from dvspark.tables.sources.listing import Listing, data_files, is_hidden, listing_of
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.row_files import FOOTER_THREADS
from dvspark.tables.sources.types import spark_type
from dvspark.tables.storage import Storage, entries, open_storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.tables.sources.reference import TableReference

# Formats of files for which Spark reads columns from folder names.
FILE_FORMATS = ("parquet", "orc", "avro", "csv", "json", "text", "xml")
# Rows that cannot be read are an error, whatever the session's settings say.
STRICT = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false", "mode": "FAILFAST"}
# Roles whose columns hold numbers, where two texts of one number are equal.
NUMBERS = ("weight", "loss", "target")


@dataclass(frozen=True)
class Seen:
    """A table's place as this process sees it: everything in it, and the files that Spark would read."""

    storage: Storage
    inside: list[fs.FileInfo]
    files: list[fs.FileInfo]

    def path(self, name: str) -> str:
        """Return the path of a file of the table within the file system."""
        return self.storage.root if len(self.files) == 1 and self.is_file else self.storage.path(name)

    @property
    def is_file(self) -> bool:
        """Whether the place is a file, not a folder."""
        return not self.inside and bool(self.files)

    def names(self) -> list[str]:
        """Return the paths of the files below the place, ascending; for a single file its name."""
        start = len(self.storage.root.rstrip("/")) + 1
        return sorted(file.base_name if self.is_file else file.path[start:] for file in self.files)


def plain_table(
    spark: SparkSession, side: str, reference: TableReference, roles: dict[str, str]
) -> tuple[DataFrame, Listing | None]:
    """Return the used columns of a plain table, and its listing if this process sees the table.

    ``roles`` names the column of each role; the role "target" is a label to predict.
    Cost: a listing of the place, here and by Spark; the footers of Parquet files that this process sees.
    Raises: InputError if the files are not the rows, or a column has two meanings; Spark's own errors.
    """
    place, where = str(reference.path), f"{side} table {reference}"
    seen = look(place)
    # This comes before Spark's listing, so a file that arrives in between counts as a change.
    listing = listing_of(seen.files) if seen and seen.files else None
    refuse(contradiction(side, place, reference.format, seen.inside if seen else ()))
    refuse(*unread(where, seen))
    uris = _listed(spark, reference)
    names = below(place, uris)
    if seen is not None and not _is_there(uris, seen, names):
        if "connect" not in type(spark).__module__ and uris[:1] and uris[0].startswith("file:"):
            got = f"{len(names)} of {len(seen.files)}"
            refuse(
                Problem(where, "a folder of which Spark lists every file", got, "run again once nothing writes there")
            )
        seen = None
    folders = folders_of(where, names)
    if isinstance(folders, list):
        raise InputError(folders)
    if seen is not None and reference.format == "parquet":
        refuse(*unlabeled(side, reference.label, seen))
    used = list(dict.fromkeys(roles.values()))
    schema = _schema(spark, side, reference, roles, folders, seen, used)
    reader = spark.read.format(reference.format).options(**STRICT).schema(schema)
    return reader.load(literal(place)), listing


def look(place: str) -> Seen | None:
    """Return what is at a place, or None if this process cannot see it. Cost: a listing."""
    try:
        storage = open_storage(place)
        found = storage.file_system.get_file_info(storage.root)
        if found.is_file:
            return Seen(storage, [], [found])
        inside = entries(storage.file_system, storage.root, recursive=True)
        return Seen(storage, inside, data_files(inside, storage.root))
    except (ConfigError, OSError, pa.ArrowException):  # a store that only Spark can read
        return None


def unread(where: str, seen: Seen | None) -> Iterator[Problem]:
    """Yield problems of files that Spark would silently pass over."""
    if seen is None:
        return
    if seen.is_file and is_hidden(seen.files[0].base_name):
        hint = "rename it: Spark passes over names that begin with . or _"
        yield Problem(where, "a file that Spark reads", seen.files[0].base_name, hint)
    hidden = [info for info in seen.inside if info.is_file]
    if hidden and not seen.files:
        got = f"{len(hidden)} files, all of them hidden; the first: {shown(sorted(i.path for i in hidden)[:1])}"
        yield Problem(where, "files that Spark reads", got, "rename them: names that begin with . or _ are passed over")
    for file in seen.files:
        if not file.size:
            hint = "write it again, or take it away: Spark would pass over it"
            yield Problem(where, "files with rows", f"{file.path} without a byte", hint)


def _listed(spark: SparkSession, reference: TableReference) -> list[str]:
    """Return all files at a table's place as Spark names them, including those that Spark would not read."""
    reader = spark.read.format(reference.format).options(**STRICT, recursiveFileLookup="true").schema("_none int")
    uris: list[str] = reader.load(literal(str(reference.path))).inputFiles()
    return [uri for uri in uris if not is_hidden(urlsplit(uri).path.rsplit("/", 1)[-1])]


def _is_there(uris: list[str], seen: Seen, names: list[str]) -> bool:
    """Return whether Spark lists the same files as this process."""
    local = all(uri.startswith("file:") for uri in uris) == (seen.storage.file_system.type_name == "local")
    return local and seen.names() == names


def _schema(
    spark: SparkSession,
    side: str,
    reference: TableReference,
    roles: dict[str, str],
    folders: Folders,
    seen: Seen | None,
    used: list[str],
) -> Any:
    """Return the Spark schema of the used columns: first those in the files, then those in folder names."""
    stored = None
    if seen is not None and reference.format == "parquet":
        near = seen.storage.file_system.type_name == "local" or not set(used).isdisjoint(folders.values)
        stored = stored_columns(seen, folders.files if near else folders.files[:1])
    types = None if stored is None else {name: spark_type(kind) for name, kind in stored[1].items() if name in used}
    if stored is None or types is None or None in types.values():
        return _inferred(spark, side, reference, roles, folders, used)
    known = [*stored[1], *folders.values]
    if str(spark.conf.get("spark.sql.caseSensitive", "false")).lower() != "true":
        refuse(*twins(f"{side} table {reference}", used, known))
    both = [name for name in used if name in folders.values and name in types]
    for name in both:
        refuse(disagreement(side, name, seen, folders, stored[0]))
    for name in used:
        if name in folders.values and name not in types:
            types[name] = folder_type(folders, name, roles)
    if not types or not set(used) <= set(types):  # the columns that exist, for the hint
        types = {name: types.get(name) or "string" for name in dict.fromkeys(known)}
    return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in types.items())


def stored_columns(seen: Seen, files: tuple[str, ...]) -> tuple[dict[str, pa.Schema], dict[str, pa.DataType]] | None:
    """Return the schema of each file, and all columns with the type in the first file that has them."""

    def schema_of(name: str) -> pa.Schema | None:
        try:
            with seen.storage.file_system.open_input_file(seen.path(name)) as file:
                return pq.read_schema(file)
        except (OSError, pa.ArrowException):
            return None  # Spark will read it, or say what is wrong

    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        found = dict(zip(files, pool.map(schema_of, files), strict=True))
    schemas = {name: schema for name, schema in found.items() if schema is not None}
    if len(schemas) < len(found) or not schemas:
        return None
    columns: dict[str, pa.DataType] = {}
    for schema in schemas.values():
        for column in schema:
            columns.setdefault(column.name, column.type)
    return schemas, columns


def _inferred(
    spark: SparkSession,
    side: str,
    reference: TableReference,
    roles: dict[str, str],
    folders: Folders,
    used: list[str],
) -> Any:
    """Return the schema of the used columns that Spark finds in the files, with folder names as text."""
    from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType  # noqa: PLC0415 - an extra

    of_text = {"bigint": LongType(), "double": DoubleType(), "string": StringType()}
    reader = spark.read.format(reference.format).options(**STRICT, recursiveFileLookup="true")
    stored = reader.load(literal(str(reference.path))).schema  # without the columns of folder names
    both = sorted(set(used) & set(folders.values) & set(stored.names))
    refuse(*(_two_meanings(side, name, "in the files and in folder names", "") for name in both))
    fields = [one for one in stored.fields if one.name in used]
    told = [name for name in folders.values if name in used]
    kinds = {name: of_text[folder_type(folders, name, roles)] for name in told}
    fields += [StructField(name, kind) for name, kind in kinds.items()]
    return StructType(fields) if {one.name for one in fields} >= set(used) else stored


def folder_type(folders: Folders, name: str, roles: dict[str, str]) -> str:
    """Return the Spark type of a column from folder names, by how the column is used."""
    only_counted = all(role in NUMBERS for role, column in roles.items() if column == name)
    return folders.kind(name, as_number=only_counted)


def disagreement(
    side: str, name: str, seen: Seen | None, folders: Folders, schemas: dict[str, pa.Schema]
) -> Problem | None:
    """Return the problem of a column whose values in files and in folder names differ; None if they agree."""
    for path, text in zip(folders.files, folders.values[name], strict=True):
        if seen is None or name not in schemas[path].names:
            continue
        try:
            with seen.storage.file_system.open_input_file(seen.path(path)) as file:
                found = pc.unique(pq.read_table(file, columns=[name], use_threads=False)[name])
            other = next((value for value in found.to_pylist() if not _says(value, text)), text)
        except (OSError, ValueError, pa.ArrowException) as error:  # not readable, not UTF-8
            return _two_meanings(side, name, str(error), path)
        if len(found) and not _says(other, text):
            return _two_meanings(side, name, f"{shown([other])} in the file", path)
    return None


def _says(value: Any, text: str | None) -> bool:
    """Return whether a value in a file is the same as the text of a folder's name."""
    if value is None or text is None or isinstance(value, bool):
        return value is None and text is None
    if isinstance(value, float):
        return NUMBER.fullmatch(text) is not None and float(text) == value
    return isinstance(value, str | int) and str(value) == text


def _two_meanings(side: str, name: str, got: str, path: str) -> Problem:
    expected = "one meaning: from the files or from folder names, or the same from both"
    hint = f"rename the folders to another column than {name!r}, or write the column to the files as the folders say"
    return Problem(f"{side} column {name!r}", expected, f"{got} {path}".strip(), hint)


def refuse(*problems: Problem | None) -> None:
    """Raise InputError with the problems that are not None, if there are any."""
    if found := [problem for problem in problems if problem is not None]:
        raise InputError(found)

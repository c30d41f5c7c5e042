"""An Iceberg table in a folder, without a catalog: for whoever opens it by its path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

NAME = ("dvspark", "rows")
# What the file operations are told: the table's own place, and the folder in which its files are until it is whole.
PLACE, FOLDER = "dvspark.place", "dvspark.folder"


class MovedFileIO(PyArrowFileIO):
    """File operations on a folder that will be moved to the place by which the table's metadata call it."""

    @staticmethod
    def parse_location(location: str, properties: Properties = EMPTY_DICT) -> tuple[str, str, str]:
        """Return where a file is now, as pyiceberg asks; files of the table are called by the table's own place."""
        return "file", "", location.replace(properties[PLACE], properties[FOLDER], 1)


def write_iceberg_folder(schema: pa.Schema, rows: Iterator[pa.RecordBatch], folder: Path, place: Path) -> None:
    """Write rows as an Iceberg table of format 2 into ``folder``, which is then moved to ``place``.

    Its metadata are version 1 of a table without a catalog, with a version hint, as Spark and PyIceberg open it.
    """
    folder.mkdir()
    (folder / "metadata").mkdir()
    own = f"{MovedFileIO.__module__}.{MovedFileIO.__qualname__}"
    # Iceberg undoes no escapes. What a URI would take for its end is a character of a plain path.
    location = str(place) if set("#?") & set(str(place)) else f"file://{place}"
    told = {"py-io-impl": own, PLACE: location, FOLDER: str(folder)}
    catalog = SqlCatalog(NAME[0], uri="sqlite:///:memory:", warehouse=location, **told)
    try:
        catalog.create_namespace(NAME[0])
        table = catalog.create_table(NAME, schema, location=location)
        table.append(pa.RecordBatchReader.from_batches(schema, rows))
        metadata = folder / "metadata" / Path(table.metadata_location).name
    finally:
        catalog.close()
    metadata.rename(folder / "metadata" / "v1.metadata.json")
    for left in (folder / "metadata").glob("0*.metadata.json"):
        left.unlink()
    (folder / "metadata" / "version-hint.text").write_text("1")

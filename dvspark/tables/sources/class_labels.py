"""Class labels: integers that stand for names in the schema's metadata, as Hugging Face Datasets writes them.

-1 there means that a row has no label; read as an integer it would be a class of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.errors import Problem

if TYPE_CHECKING:
    from dvspark.tables.sources.plain import Seen

KEY = b"huggingface"


def class_names(schema: pa.Schema, name: str) -> list[str] | None:
    """Return the names of the classes of a column, or of the elements of its lists; None if it has none."""
    try:
        feature: Any = json.loads((schema.metadata or {})[KEY])["info"]["features"][name]
        while "feature" in feature:  # a list of labels
            feature = feature["feature"]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(one, str) for one in names) else None


def unlabeled(side: str, name: str, seen: Seen, schemas: Iterable[pa.Schema]) -> Iterator[Problem]:
    """Yield the problem of Parquet files that lack some class labels, if one of their ``schemas`` names classes.

    Cost: nothing without classes; else the files' footers, and if these tell no least number, the labels.
    """
    if all(class_names(schema, name) is None for schema in schemas):
        return
    try:
        odd = next((file.path for file in seen.files if _has_none(seen, file.path, name)), None)
    except (OSError, pa.ArrowException):  # told where rows are read
        return
    if odd is not None:
        hint = "leave these rows out, or let `dvspark import table` set them aside"
        yield Problem(f"{side} column {name!r}", "a class in each row", f"-1, which means no label, in {odd}", hint)


def _has_none(seen: Seen, path: str, name: str) -> bool:
    """Return whether a file has a number below 0 in a column."""
    with seen.storage.file_system.open_input_file(path) as opened, pq.ParquetFile(opened) as file:
        columns = range(file.metadata.num_columns)
        places = [n for n in columns if f"{file.metadata.schema.column(n).path}.".startswith(f"{name}.")]
        return any(_least(file, group, places, name) < 0 for group in range(file.metadata.num_row_groups))


def _least(file: pq.ParquetFile, group: int, places: list[int], name: str) -> int:
    """Return the least number in a column of a row group: by its statistics, where these tell."""
    told = [file.metadata.row_group(group).column(place).statistics for place in places]
    least = [one.min for one in told if one is not None and one.has_min_max]
    if len(least) < len(places):
        numbers = file.read_row_group(group, columns=[name])[name]
        while pa.types.is_nested(numbers.type):
            numbers = pc.list_flatten(numbers)
        least = [pc.min(numbers).as_py()]
    return min((one for one in least if isinstance(one, int)), default=0)

"""Class labels: integers that stand for names in the schema's metadata, as Hugging Face Datasets writes them.

-1 there means that a row has no label; read as an integer it would be a class of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
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


def unlabeled(side: str, name: str, seen: Seen) -> Iterator[Problem]:
    """Yield the problem of Parquet files that lack some class labels. Cost: their footers, if they have classes."""
    for file in seen.files:
        try:
            with seen.storage.file_system.open_input_file(file.path) as opened:
                footer = pq.read_metadata(opened)
                if class_names(footer.schema.to_arrow_schema(), name) is None:
                    return
        except (OSError, pa.ArrowException):  # told where rows are read
            return
        if _least(footer, name) < 0:
            hint = "leave these rows out, or let `dvspark import table` set them aside"
            got = f"-1, which means no label, in {file.path}"
            yield Problem(f"{side} column {name!r}", "a class in each row", got, hint)
            return


def _least(footer: Any, name: str) -> int:
    """Return the least number in a column by the statistics of row groups, 0 where they do not tell."""
    places = [n for n in range(footer.num_columns) if footer.schema.column(n).path.split(".", 1)[0] == name]
    told = [footer.row_group(group).column(n).statistics for group in range(footer.num_row_groups) for n in places]
    least = [one.min for one in told if one is not None and one.has_min_max]
    return min((one for one in least if isinstance(one, int)), default=0)

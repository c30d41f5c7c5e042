"""NumPy shards: .npy files of embeddings, with a Parquet file for each, as clip-retrieval writes them.

FOLDER/img_emb/img_emb_0.npy     a matrix of float16, float32 or float64, one embedding a row; or text_emb/
FOLDER/metadata/metadata_0.parquet    the other columns of the same rows, in the same order
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.errors import InputError, Problem, shown
from dvspark.tables.sources.formats.numpy_files import NumpyFile, numpy_file
from dvspark.tables.sources.parts import NumpyPart
from dvspark.tables.sources.row_files import parts_with
from dvspark.tables.sources.types import spark_type
from dvspark.tables.sources.unreadable import unreadable_file

# The format that Spark reads them by.
NPY = "dvspark-npy"
# Folders of embeddings below a folder of shards, the first that is there.
EMBEDDINGS, METADATA = ("img_emb", "text_emb"), "metadata"
NUMBER = re.compile(r"(\d+)\.\w+$")


@dataclass(frozen=True)
class Shard:
    """A matrix of embeddings, and the Parquet file with the other columns of its rows."""

    numbers: NumpyFile
    metadata: Path

    def parts(self, name: str, columns: list[str]) -> list[NumpyPart]:
        """Return what tasks read: columns of the metadata, and embeddings as the column ``name``.

        Raises: InputError if the metadata lacks one of the columns.
        """
        there = _schema(self.metadata).names
        if lacking := [column for column in columns if column not in there]:
            expected, hint = f"the columns of the first file, {shown(columns)}", "write both from the same table"
            raise InputError(Problem(str(self.metadata), expected, f"none called {shown(lacking)}", hint))
        return self.numbers.parts(name, parts_with(str(self.metadata), columns or there[:1]))


def shards_of(place: str, embeddings: str | None = None, metadata: str | None = None) -> list[Shard]:
    """Return the shards below a folder, in the order of their names, which is that of their rows.

    ``embeddings`` and ``metadata`` are folders in it, or anywhere; left out, those that clip-retrieval writes.
    Raises: InputError unless each matrix has a Parquet file with as many rows, and all have one dimension and one type.
    """
    root = Path(place)
    known = [name for name in EMBEDDINGS if (root / name).is_dir()]
    numbers = _files(root / (embeddings or (known or EMBEDDINGS)[0]), "npy")
    others = _files(root / (metadata or METADATA), "parquet")
    if len(numbers) != len(others):
        got, hint = f"{len(numbers)} and {len(others)}", "give folders with one Parquet file for each .npy file"
        raise InputError(Problem(place, "as many .npy files as Parquet files", got, hint))
    shards, problems = (
        [Shard(numpy_file("import", str(one)), other) for one, other in zip(numbers, others, strict=True)],
        [],
    )
    first = shards[0].numbers
    for shard, one in zip(shards, numbers, strict=True):
        if _number(one) != _number(shard.metadata):
            expected = "files in one order, with one number at the end of both names"
            problems.append(Problem(place, expected, f"{one.name} beside {shard.metadata.name}", "rename one of them"))
        if (n_rows := _n_rows(shard.metadata)) != shard.numbers.n_rows:
            expected, hint = f"{n_rows} rows, as in {shard.metadata.name}", "write both from the same rows"
            problems.append(Problem(str(one), expected, f"{shard.numbers.n_rows}", hint))
        if (shard.numbers.n_features, shard.numbers.dtype) != (first.n_features, first.dtype):
            expected = f"{first.n_features} numbers of {first.dtype} a row, as in {numbers[0].name}"
            got = f"{shard.numbers.n_features} of {shard.numbers.dtype}"
            problems.append(Problem(str(one), expected, got, "give shards of one model"))
    if problems:
        raise InputError(problems)
    return shards


def spark_columns(path: Path) -> dict[str, str]:
    """Return the Spark types of a Parquet file's columns, of those that have one."""
    kinds = {column.name: spark_type(column.type) for column in _schema(path)}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _files(folder: Path, ending: str) -> list[Path]:
    found = sorted(path for path in folder.glob(f"*.{ending}") if not path.name.startswith((".", "_")))
    if not found:
        hint = "give the folder that has img_emb (or text_emb) and metadata, or name both folders"
        raise InputError(Problem(str(folder), f"files *.{ending}", "none", hint))
    return found


def _number(path: Path) -> int | None:
    """Return the number at the end of a name, if there is one: shards whose numbers differ are not of one another."""
    found = NUMBER.search(path.name)
    return None if found is None else int(found[1])


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise unreadable_file(f"{path}: {error}") from error


def _n_rows(path: Path) -> int:
    _schema(path)
    return int(pq.read_metadata(path).num_rows)

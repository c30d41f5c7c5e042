"""Table files: the files of a table that this process reads itself, the same as Spark would, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from dvspark.tables.sources.listing import Listing
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.parts import ParquetPart, Part
from dvspark.tables.sources.row_files import FOOTER_THREADS, RowFiles, parts_of


def parquet_parts(path: str, stored: Mapping[str, str]) -> list[ParquetPart] | None:
    """Return the parts of a Parquet file; None if it has not all columns in these types, or is asked for none."""
    return parts_of(path, stored) if stored else None


@dataclass(frozen=True)
class TableFiles:
    """A table's files: the type of each column as Spark calls it, and of each file what its folder or log tells.

    ``source`` says for the run record which state it is; ``listing``: of files that could change. ``parts`` gives what
    tasks read of a file, None if it has not all columns in the given types.
    """

    types: dict[str, str]
    told: dict[str, dict[str, Any]]
    source: dict[str, Any]
    listing: Listing | None = None
    parts: Callable[[str, Mapping[str, str]], Sequence[Part] | None] = parquet_parts

    def row_files(self, where: str, names: dict[str, str], types: dict[str, str]) -> RowFiles:
        """Return the files as what their rows are read in; ``names`` and ``types``: of columns, by role.

        Raises: NotLocalError for a file that has not all columns in their types, as whose rows Spark reads nulls.
        """
        if dotted := sorted(name for name in names.values() if "." in name):
            raise not_local(where, "names of columns without dots", ", ".join(dotted))

        def parts(path: str) -> list[Part] | None:
            told = {name: value for name, value in self.told[path].items() if name in names.values()}
            found = self.parts(path, {name: self.types[name] for name in names.values() if name not in told})
            return None if found is None else [replace(part, told=tuple(told.items())) for part in found]

        with ThreadPoolExecutor(FOOTER_THREADS) as pool:
            found = dict(zip(self.told, pool.map(parts, self.told), strict=True))
        odd = [path for path, of_file in found.items() if of_file is None]
        if odd:
            expected = "Parquet files that can be read, each with the same columns of the same types"
            raise not_local(where, expected, f"{len(odd)} others; the first: {odd[0]}")
        return RowFiles(tuple(part for of_file in found.values() for part in of_file or []), names, types)

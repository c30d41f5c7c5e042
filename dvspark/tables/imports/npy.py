"""NumPy shards as tables: id and label are columns of the metadata, or the id is the place among all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.errors import ConfigError, InputError, Problem, close_matches, written
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.imports.bad_lines import BadLines, lacking
from dvspark.tables.sources.canonical import EXPECTED_TYPES, HINTS, canonical_type
from dvspark.tables.sources.formats.npy_shards import Shard, shards_of, spark_columns

NOT_FINITE = "an embedding with a number that is not finite"


@dataclass(frozen=True)
class NpyShards:
    """The shards below ``folder``; ``id``, ``label`` and ``owner`` name columns of the metadata, ``keep`` further ones.

    Without ``id``, a row's id is its place among all rows, from 0.
    """

    folder: str
    label: str
    embeddings: str | None = None
    metadata: str | None = None
    id: str | None = None
    owner: str | None = None
    keep: tuple[str, ...] = ()

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards, in order."""
        return shards_of(self.folder, self.embeddings, self.metadata)

    def __getstate__(self) -> dict[str, Any]:
        # How files are listed cannot be sent to another process, which looks itself.
        return {name: value for name, value in self.__dict__.items() if name != "shards"}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The .npy files, in order."""
        return tuple(Path(shard.numbers.path) for shard in self.shards)

    def settings(self) -> dict[str, Any]:
        """Return all that the rows follow from."""
        beside = {
            one.metadata.name: [one.metadata.stat().st_size, one.metadata.stat().st_mtime_ns] for one in self.shards
        }
        named = {"id": self.id, "label": self.label, "owner": self.owner, "keep": list(self.keep)}
        return {"format": "npy", "columns": named, "beside": beside}

    def prepare(self, work: Path, rejected: Path) -> dict[str, Any]:  # noqa: ARG002 - nothing is put there
        """Return the types of the columns, and at which place each shard begins.

        Raises: ConfigError for columns that are not there, InputError for types that cannot be used.
        """
        kinds, problems = spark_columns(self.shards[0].metadata), list[Problem]()
        for role, name in self._roles().items():
            if name not in kinds:
                hint, word = close_matches(name, list(kinds)), "keep" if name in self.keep else role
                raise ConfigError(Problem(f"--{word}", "a column of the metadata", written(name), hint))
            if role in EXPECTED_TYPES and canonical_type(role, kinds[name]) is None:
                problems.append(Problem(f"column {name!r}", EXPECTED_TYPES[role], kinds[name], HINTS[role]))
        problems += self._others_problems(kinds)
        if problems:
            raise InputError(problems)
        ends = np.cumsum([shard.numbers.n_rows for shard in self.shards]).tolist()
        types = {role: kinds[name] for role, name in self._roles().items()}
        return {"types": types, "starts": [0, *ends[:-1]], "summary": {"n_numbers": self.shards[0].numbers.n_features}}

    def _others_problems(self, first: dict[str, str]) -> list[Problem]:
        """Return which metadata do not have the columns of the first file, in their types. Cost: their footers."""
        problems, hint = [], "write the metadata again, from one table"
        for shard in self.shards[1:]:
            kinds = spark_columns(shard.metadata)
            for name in (name for name in self._roles().values() if kinds.get(name) != first[name]):
                where = f"{shard.metadata}, column {name!r}"
                problems.append(Problem(where, f"{first[name]}, as in the first file", str(kinds.get(name)), hint))
        return problems

    def schema(self, told: dict[str, Any]) -> pa.Schema:
        """Return id, embedding, label, owner if it is named, and further columns under their own names."""
        types = {"id": "bigint", "embedding": self.shards[0].numbers.spark_type, **told["types"]}
        types["id"] = str(canonical_type("id", types["id"]))
        return pa.schema([(role, arrow_type(kind)) for role, kind in types.items()])

    def batches(
        self, number: int, work: Path, told: dict[str, Any], bad: BadLines, left_out: Counter[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a shard; those with a null, or a number that is not finite, are set aside.

        Memory: a batch of some MB.
        """
        del work, left_out
        schema, roles, place = self.schema(told), self._roles(), told["starts"][number]
        for part in self.shards[number].parts("", list(roles.values())):
            for batch in part.stored([*roles.values(), ""]):
                columns = {role: batch.column(name) for role, name in roles.items()} | {"embedding": batch.column("")}
                columns.setdefault("id", pa.array(np.arange(place, place + len(batch))))
                first, place = place - told["starts"][number] + 1, place + len(batch)
                rows = pa.record_batch(
                    [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
                )
                yield rows.filter(pa.array(_good_rows(rows, first, bad)))

    def _roles(self) -> dict[str, str]:
        named = {"id": self.id, "label": self.label, "owner": self.owner}
        return {role: name for role, name in named.items() if name is not None} | {name: name for name in self.keep}


def _good_rows(rows: pa.RecordBatch, first: int, bad: BadLines) -> Any:
    """Return which rows can be used, (n,); set the others aside, the first row under the number ``first``."""
    x = rows.column("embedding").flatten().to_numpy().reshape(len(rows), -1)
    reasons = {NOT_FINITE: ~np.isfinite(x).all(axis=1)}
    for name in (name for name in ("id", "label", "owner") if name in rows.schema.names):
        reasons[f"no {name}"] = lacking(rows.column(name))
    is_good = np.ones(len(rows), np.bool_)
    for reason, is_odd in reasons.items():
        for place in np.flatnonzero(is_odd & is_good):
            bad.add(first + int(place), reason, str(rows.column("id")[place].as_py()))
        is_good &= ~is_odd
    return is_good

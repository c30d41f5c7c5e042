"""A data source of Spark: `spark.read.format("dvspark-npy")` reads NumPy shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from dvspark.errors import InputError, Problem
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.sources.formats.npy_shards import NPY, Shard, shards_of, spark_columns
from dvspark.tables.sources.parts import NumpyPart
from dvspark.tables.sources.types import ddl_of


class NpySource(DataSource):
    """NumPy shards as a table: the columns of the metadata, and `embedding`.

    Options: ``path``, the folder; ``embeddings`` and ``metadata``, folders in it if they have other names than
    clip-retrieval's; ``embedding``, the name of that column.
    """

    @classmethod
    def name(cls) -> str:
        """Return the name by which Spark knows it."""
        return NPY

    def schema(self) -> str:
        """Return the columns as Spark DDL. Raises: InputError for shards that do not fit together."""
        shards, name = self._shards(), self._embedding()
        kinds = spark_columns(shards[0].metadata)
        if name in kinds:
            hint = ".option('embedding', another name)"
            raise InputError(Problem(f"column {name!r}", "embeddings in .npy files", "in the metadata, too", hint))
        kinds[name] = shards[0].numbers.spark_type
        return ddl_of(kinds)

    def reader(self, schema: Any) -> NpyReader:
        """Return the reader of columns in a schema, which may be fewer than there are."""
        types = {field.name: field.dataType.simpleString() for field in schema.fields}
        name, others = self._embedding(), [column for column in types if column != self._embedding()]
        return NpyReader([part for shard in self._shards() for part in shard.parts(name, others)], types)

    def _shards(self) -> list[Shard]:
        if "path" not in self.options:
            raise InputError(Problem(f"format {NPY}", "a path", "none", ".load(the folder of the shards)"))
        return shards_of(self.options["path"], self.options.get("embeddings"), self.options.get("metadata"))

    def _embedding(self) -> str:
        return str(self.options.get("embedding", "embedding"))


@dataclass
class NpyPartition(InputPartition):
    """What one task reads."""

    part: NumpyPart


class NpyReader(DataSourceReader):
    """Reads shards: embeddings reach Arrow as they are mapped, without a copy; those of float16 become float32."""

    def __init__(self, parts: list[NumpyPart], types: dict[str, str]) -> None:
        self._parts, self._types = parts, types

    def partitions(self) -> list[NpyPartition]:
        """Return about 32 MB of embeddings for each task."""
        return [NpyPartition(part) for part in self._parts]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a part. Memory: a batch of the metadata."""
        assert isinstance(partition, NpyPartition)  # noqa: S101 - `partitions` makes them
        schema = pa.schema([(name, arrow_type(kind)) for name, kind in self._types.items()])
        for batch in partition.part.stored(list(self._types)):
            columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

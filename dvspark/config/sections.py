"""The sections of a configuration: tables, output, Spark and streams, each setting with its meaning."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dvspark.config.fields import choice
from dvspark.tables.sinks.values_tables import FORMATS
from dvspark.tables.sources.reference import TableReference

# The type of pydantic's error for a truth in place of a number.
NO_TRUTH = "number"


class NumbersAreNoTruths:
    """Refuses true and false for numbers. Otherwise pydantic would read them, and YAML's yes and on, as 1 and 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation  # type: ignore[attr-defined]
        if isinstance(value, bool) and {int, float} & {kind, *get_args(kind)}:
            raise PydanticCustomError(NO_TRUTH, "a number, not true or false")
        return value


class TableConfig(NumbersAreNoTruths, BaseModel):
    """Where a table is, and how its columns are called."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(None, min_length=1, description="file or folder, as every executor sees it")
    format: str = Field("parquet", description="parquet, csv, delta, iceberg, or another that Spark reads")
    table: str | None = Field(None, description="a table of Spark's catalogs or pyiceberg's, in place of path")
    version: int | None = Field(None, description="version of a Delta table; the latest if left out")
    snapshot: int | None = Field(None, description="id of an Iceberg snapshot; the current one if left out")
    timestamp: datetime | None = Field(None, description="in place of version or snapshot: the table as it was then")
    id: str = Field("id", description="column of unique ids, strings or integers; ids decide ties")
    embedding: str = Field("embedding", description="column of embeddings")
    label: str = Field("label", description="column of labels: strings, integers, or arrays of either")
    owner: str | None = Field(None, description="column of owners, which the values table repeats")
    weight: str | None = Field(
        None, description="column of weights: in train, for weighted methods; in validation, how much a row counts"
    )
    task: str | None = Field(None, description="in validation: column of tasks, each of which gets values of its own")
    loss: str | None = Field(None, description="column of losses, for chg_shapley with source: gradients")
    epoch: str | None = Field(
        None, description="column of epochs, for chg_shapley with source: gradients: an id has a row in each"
    )
    embedding_dtype: Literal["float16", "float32", "float64"] | None = Field(
        None, description="numbers in binary embeddings, left out: float32, if sure; in CSV files, left out: float64"
    )
    embedding_file: str | None = Field(None, description="NumPy file with the embeddings of one Parquet file's rows")

    def reference(self) -> TableReference:
        """Return the same as a reference that `dvspark.tables` reads."""
        return TableReference(**self.model_dump())


class OutputConfig(BaseModel):
    """Where results go."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="folder of values/, runs/ and rejected/")
    format: str = choice("parquet", FORMATS, "format of the values: parquet, delta or iceberg (in table)")
    table: str | None = Field(None, description="table for the values: Spark's; for iceberg, pyiceberg's")


class SparkConfig(BaseModel):
    """Spark settings, used only when the session is started here."""

    model_config = ConfigDict(extra="forbid")

    master: str | None = Field(
        None, description="such as local[4]; left out: Spark's own default, or all cores of this machine"
    )
    conf: dict[str, str] = Field(default_factory=dict, description="spark.* settings, as strings")


class StreamConfig(BaseModel):
    """How validation rows arrive, for `dvspark stream`."""

    model_config = ConfigDict(extra="forbid")

    available_now: bool = Field(False, description="true: value what has arrived, then end; false: wait")
    every: str = Field("1 minute", description="how often to look for new rows, such as 10 minutes")
    schema_ddl: str | None = Field(
        None, description="columns as Spark DDL; those of the rows that are there if left out"
    )

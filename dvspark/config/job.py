"""The configuration of a job: its settings, what each is for, and which of them go together."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dvspark.arguments import choice_problems, positive_problems
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.engine.planning.plan import PLANS, host_memory_problems
from dvspark.errors import Problem
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.runs.identity import published_id_problems, run_id_problems
from dvspark.tables.sinks.values_tables import output_problems
from dvspark.tables.sources.pinned import version_problems
from dvspark.tables.sources.read import TableReference

# Settings that may also be a path alone.
SECTIONS = ("train", "validation", "output")

# What a run may do with the validation rows of another one.
CHANGES = ("add", "remove")

# Settings that are parameters of methods.
PARAMETERS = tuple(dict.fromkeys(one.name for method in METHODS.values() for one in method.parameters))


class NumbersAreNoTruths:
    """Refuses true and false where a number is asked for: pydantic, and YAML's yes and on, would make them 1 and 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation  # type: ignore[attr-defined]
        if isinstance(value, bool) and {int, float} & {kind, *get_args(kind)}:
            raise PydanticCustomError("number", "a number, not true or false")
        return value


class TableConfig(NumbersAreNoTruths, BaseModel):
    """Where a table is and what its columns are called."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(None, min_length=1, description="file or folder, as the cluster sees it")
    format: str = Field("parquet", description="any format Spark reads; delta and iceberg also without Spark's help")
    table: str | None = Field(None, description="name of a Spark table, instead of `path`; or of pyiceberg's")
    version: int | None = Field(None, description="of a Delta table; the latest if left out")
    snapshot: int | None = Field(None, description="id, of an Iceberg table; the current one if left out")
    timestamp: datetime | None = Field(None, description="of either: as the table was then")
    id: str = Field("id", description="column of unique ids (string or integer); ids decide ties")
    embedding: str = Field("embedding", description="column of embeddings")
    label: str = Field("label", description="column of labels: string, integer, or array of either")
    owner: str | None = Field(None, description="column of owners, carried into the values table")
    weight: str | None = Field(None, description="column of weights, for weighted methods")
    embedding_dtype: Literal["float16", "float32", "float64"] | None = Field(
        None, description="what binary embeddings hold, little-endian; left out: float32, where it can be nothing else"
    )

    def reference(self) -> TableReference:
        """Return it as the tables package knows it."""
        return TableReference(**self.model_dump())


class OutputConfig(BaseModel):
    """Where results go."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="folder for values/, runs/ and rejected/")
    format: str = Field("parquet", description="of the values: parquet, delta (both in values/), iceberg (in `table`)")
    table: str | None = Field(None, description="values go to this table of Spark's catalogs; iceberg: of pyiceberg's")


class SparkConfig(BaseModel):
    """Spark settings, used only when the session is started here."""

    model_config = ConfigDict(extra="forbid")

    master: str | None = Field(None, description="e.g. local[4]; left out: all cores of this machine")
    conf: dict[str, str] = Field(default_factory=dict, description="spark.* settings")


class StreamConfig(BaseModel):
    """How validation rows arrive, for `dvspark stream`."""

    model_config = ConfigDict(extra="forbid")

    available_now: bool = Field(False, description="value what has arrived, then end; else wait for more")
    every: str = Field("1 minute", description="how often to look for new rows, as Spark says it")
    schema_ddl: str | None = Field(None, description="columns as Spark DDL; left out: those of the rows there are")


class JobConfig(NumbersAreNoTruths, BaseSettings):
    """A valuation job."""

    model_config = SettingsConfigDict(env_prefix="DVSPARK_", env_nested_delimiter="__", extra="forbid")

    train: TableConfig = Field(description="the rows to value")
    validation: TableConfig | None = Field(None, description="the rows to value them by")
    output: OutputConfig = Field(description="where results go")
    method: str = Field("knn_shapley", description="one of docs/methods")
    k: int | None = Field(None, description="neighbors that vote; 10 if left out")
    n_classes: int | None = Field(None, description="size of the label space; counted if left out")
    utility: str | None = Field(None, description="of semivalues and leave-one-out: jia2019 or wang2023")
    alpha: float | None = Field(None, description="of Beta semivalues: large ones weigh small coalitions")
    beta: float | None = Field(None, description="of Beta semivalues: large ones weigh large coalitions")
    radius: float | str | None = Field(
        None, union_mode="left_to_right", description="of threshold methods, in the metric's unit; or auto"
    )
    epsilon: float | None = Field(None, description="privacy loss, or error of the truncated method")
    delta: float | None = Field(None, description="probability that the privacy loss is exceeded")
    adjacency: str | None = Field(None, description="which tables are neighbors: add_remove or replace_one")
    sampling_rate: float | None = Field(None, description="share of training rows drawn for a private release")
    unit: str | None = Field(None, description="what a private release protects: row, or owner with all its rows")
    rows_per_owner: int | None = Field(None, description="of unit: owner, rows of an owner that count at a point")
    k_star: int | None = Field(None, description="nearest rows of the truncated method; else from epsilon")
    tail: str | None = Field(None, description="what the truncated method gives to farther rows: zero or bound")
    index: str | None = Field(None, description="of the truncated method: exact, or a FAISS factory string")
    empty_utility: float | str | None = Field(
        None, union_mode="left_to_right", description="utility of no rows: a number, or formula"
    )
    kind: str | None = Field(None, description="of weighted methods: raw, normalized or hard")
    weight: str | None = Field(None, description="of weighted methods: given, inverse_distance or rbf")
    gamma: float | None = Field(None, description="of weight: rbf, exp(-gamma distance²)")
    bits: int | None = Field(None, description="of kind: hard, bits of a quantized weight")
    n_nearest: int | None = Field(None, description="of kind: hard, nearest rows that count; all if left out")
    metric: str = Field("euclidean", description="euclidean, cosine (1 - cos) or inner_product")
    precision: str = Field("default", description="default: exact near ranks; float64: everything in float64")
    ties: str = Field("id", description="id: rows at equal distance rank by id; average: over all their orders")
    aggregate: str = Field("mean", description="over validation rows: mean or sum")
    ranking: str = Field("auto", description="sorted, binned, or auto: binned above 150,000 training rows")
    tolerance: float = Field(1e-8, description="how far the order of rows may put a value from the exact one")
    error_bound: bool = Field(False, description="add each row's own bound to the values table")
    self_validation: bool = Field(False, description="every train row is a validation row, left out of its own game")
    on_bad_row: Literal["fail", "reject"] = Field("fail", description="reject: set bad rows aside, with the reason")
    parent: str | None = Field(None, description="run whose validation rows change; its settings are taken over")
    change: str | None = Field(None, description="add or remove: what becomes of the validation rows of parent")
    chunk_rows: int = Field(CHUNK_ROWS, ge=1, le=1_000_000, description="validation rows of a chunk, about")
    run_id: str | None = Field(None, description="name of the run; derived from inputs and options if left out")
    force: bool = Field(False, description="compute again what is published or begun under this run id, and replace it")
    work_dir: str | None = Field(None, description="folder all hosts see, for an index too large to ship")
    plan: str = Field("auto", description="replicated, sharded, or auto: sharded where the index does not fit a host")
    host_memory: str | None = Field(None, description="memory of one host, such as 64g; this machine's if left out")
    epsilon_budget: float | None = Field(None, description="of the private method: most of epsilon over all releases")
    delta_budget: float | None = Field(None, description="the delta of epsilon_budget; that of the release if left out")
    budget: str | None = Field(None, min_length=1, description="folder that counts a table's releases; else by output")
    publish_all_values: bool = Field(False, description="of the private method: one table, not a folder an owner")
    report: bool = Field(True, description="write report.html (extra `report`)")
    mlflow: bool = Field(False, description="tell MLflow of the published run (extra `mlflow`)")
    log_format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON")
    stream: StreamConfig = Field(default_factory=StreamConfig, description="how validation rows arrive")
    spark: SparkConfig = Field(default_factory=SparkConfig, description="a session started here")

    def options(self) -> ValueOptions:
        """Return what to compute and how."""
        return ValueOptions(
            method=self.method,
            parameters=self._parameters(),
            metric=self.metric,
            precision=self.precision,
            ties=self.ties,
            aggregate=self.aggregate,
            ranking=self.ranking,
            tolerance=self.tolerance,
            error_bound=self.error_bound,
            self_validation=self._validates_itself(),
        )

    def _validates_itself(self) -> bool:
        """Return whether there is one table, as the settings or the method have it."""
        return self.self_validation or (self.method in METHODS and METHODS[self.method].self_validates)

    def to_owners(self) -> bool:
        """Return whether each owner is to see its own rows' values only."""
        return self.options().declaration.is_private and not self.publish_all_values

    def asks(self) -> tuple[str, ...]:
        """Return which of "owners" and "weights" training rows must have, for the method or for whom values go to."""
        return self.options().asks + ("owners",) * self.to_owners()

    def _parameters(self) -> dict[str, Any]:
        """Return the method's parameters that are set; the number of classes only where the method asks for it."""
        given = {name: getattr(self, name) for name in PARAMETERS if getattr(self, name) is not None}
        if self.method in METHODS and not METHODS[self.method].knows("n_classes"):
            given.pop("n_classes", None)
        return given

    def kept(self) -> dict[str, Any]:
        """Return the settings that the run record keeps: all but those of one start, and of the session."""
        return self.model_dump(
            mode="json", exclude={"spark", "stream", "run_id", "force", "parent", "change", "log_format"}
        )

    def problems(self) -> list[Problem]:
        """Return what single fields cannot know: parameters of the method, fields that exclude each other."""
        problems = self.options().problems() + run_id_problems(self.run_id)
        problems += [] if self.parent is None else published_id_problems(self.parent, "parent")
        problems += [] if self.change is None else choice_problems("change", self.change, CHANGES)
        if (self.parent is None) != (self.change is None):
            got = "only one of them"
            problems.append(Problem("parent, change", "both or neither", got, "give --add-validation TABLE RUN"))
        problems += choice_problems("plan", self.plan, PLANS) + host_memory_problems(self.host_memory)
        for side, table in (("train", self.train), ("validation", self.validation)):
            if table is not None and (table.path is None) == (table.table is None):
                got = "neither" if table.path is None else "both"
                problems.append(Problem(side, "either a path or a table", got, f"set {side}.path or {side}.table"))
            if table is not None:
                problems += version_problems(side, table.reference())
        problems += self._budget_problems()
        problems += output_problems(self.output.format, self.output.table, to_owners=not problems and self.to_owners())
        alone = self._validates_itself()
        if alone == (self.validation is not None):
            expected = "a validation table, or self_validation: true; not both"
            got = "both" if alone else "neither"
            problems.append(Problem("validation", expected, got, "give --validation PATH, or --self_validation true"))
        return problems

    def _budget_problems(self) -> list[Problem]:
        """Return what is wrong with the budget of a private table."""
        given = {name: getattr(self, name) for name in ("epsilon_budget", "delta_budget", "budget")}
        given = {name: value for name, value in given.items() if value is not None}
        if given and self.method in METHODS and not METHODS[self.method].is_private:
            hint = "leave it out: nothing private is released"
            return [Problem(name, "a private method", self.method, hint) for name in given]
        problems = []
        if self.epsilon_budget is not None:
            hint = "what all releases of the table may come to, such as 4"
            problems += positive_problems("epsilon_budget", self.epsilon_budget, hint)
        if self.delta_budget is not None and not 0 < self.delta_budget < 1:
            hint = "far below 1 / (number of training rows)"
            problems.append(Problem("delta_budget", "a number between 0 and 1", repr(self.delta_budget), hint))
        return problems


def json_schema() -> str:
    """Return the JSON Schema of a configuration file, for editors; a section may also be a path alone."""
    schema = JobConfig.model_json_schema()
    for name in SECTIONS:
        section = schema["properties"][name]
        forms = section.pop("anyOf", None) or [{"$ref": section.pop("$ref")}]
        section["anyOf"] = [*forms, {"type": "string"}]
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())

"""The configuration of a job: each setting with its type, default and meaning, and which settings go together."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dvspark.arguments import choice_problems
from dvspark.config.budgets import budget_problems
from dvspark.config.fields import PARAMETERS, choice, parameter
from dvspark.config.goals import GoalName, goal_problems, with_goal
from dvspark.config.sections import NumbersAreNoTruths, OutputConfig, SparkConfig, StreamConfig, TableConfig
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.engine.planning.plan import PLANS, host_memory_problems
from dvspark.errors import Problem, written
from dvspark.kernels.distances.distances import METRICS
from dvspark.kernels.ranking.ranking import PRECISIONS, TIES
from dvspark.methods import METHODS
from dvspark.methods.options import AGGREGATES, RANKINGS, ValueOptions, epoch_problems, group_problems, owned_problems
from dvspark.review.review_rows import radius_problems, review_problems
from dvspark.runs.identity import published_id_problems, run_id_problems
from dvspark.schemas import OWNED
from dvspark.tables.sinks.values_tables import output_problems
from dvspark.tables.sources.formats.numpy_files import numpy_problems
from dvspark.tables.sources.pinned import version_problems
from dvspark.tables.sources.reference import TableReference

# Sections for which a file or the command line may also give a path alone.
SECTIONS = ("train", "owned", "validation", "output")

# What a run may do with the validation rows of its parent.
CHANGES = ("add", "remove")


class JobConfig(NumbersAreNoTruths, BaseSettings):
    """A valuation job."""

    model_config = SettingsConfigDict(env_prefix="DVSPARK_", env_nested_delimiter="__", extra="forbid")

    train: TableConfig = Field(description="the rows that get values")
    owned: TableConfig | None = Field(None, description="rows that are owned, for knn_acquisition_shapley")
    validation: TableConfig | None = Field(None, description="the rows by which training rows are valued")
    output: OutputConfig = Field(description="where results go")
    goal: GoalName | None = Field(
        None, description="what values are for, which sets method and review; or choose by --method"
    )
    method: str = choice("knn_shapley", METHODS, "name of a method; `dvspark methods` lists them")
    k: int | None = parameter("k")
    n_classes: int | None = parameter("n_classes")
    utility: str | None = parameter("utility")
    alpha: float | None = parameter("alpha")
    beta: float | None = parameter("beta")
    radius: float | str | None = parameter("radius", union_mode="left_to_right")
    epsilon: float | None = parameter("epsilon")
    delta: float | None = parameter("delta")
    adjacency: str | None = parameter("adjacency")
    sampling_rate: float | None = parameter("sampling_rate")
    unit: str | None = parameter("unit")
    rows_per_owner: int | None = parameter("rows_per_owner")
    k_star: int | None = parameter("k_star")
    tail: str | None = parameter("tail")
    index: str | None = parameter("index")
    empty_utility: float | str | None = parameter("empty_utility", union_mode="left_to_right")
    kind: str | None = parameter("kind")
    weight: str | None = parameter("weight")
    gamma: float | None = parameter("gamma")
    bits: int | None = parameter("bits")
    n_nearest: int | None = parameter("n_nearest")
    penalty: float | None = parameter("penalty")
    label_weight: float | None = parameter("label_weight")
    steps: int | None = parameter("steps")
    batch_rows: int | None = parameter("batch_rows")
    fit: str | None = parameter("fit")
    players: str | None = parameter("players")
    target: str | None = parameter("target")
    evaluations: int | None = parameter("evaluations")
    seed: int | None = parameter("seed")
    cache_worths: bool | None = parameter("cache_worths")
    sampling: str | None = parameter("sampling")
    strata: int | None = parameter("strata")
    truncation: float | None = parameter("truncation")
    bound: str | None = parameter("bound")
    standard_error: float | None = parameter("standard_error")
    utility_range: float | None = parameter("utility_range")
    variant: str | None = parameter("variant")
    by: str | None = parameter("by")
    epochs: int | None = parameter("epochs")
    learning_rate: float | None = parameter("learning_rate")
    source: str | None = parameter("source")
    metric: str = choice("euclidean", METRICS, "euclidean, cosine (1 - cos) or inner_product")
    precision: str = choice(
        "default", PRECISIONS, "default: float64 only where order is in doubt; float64: all ranks in float64"
    )
    ties: str = choice(
        "id", TIES, "rows at equal distance: id ranks them by id; average takes the mean over their orders"
    )
    aggregate: str = choice("mean", AGGREGATES, "over validation rows: mean or sum")
    ranking: str = choice("auto", RANKINGS, "sorted, binned, or auto: binned above 150,000 training rows")
    tolerance: float = Field(
        1e-8,
        description="how far the order of rows may put a value from the exact one: a mean, or the part of a sum that "
        "comes from one validation row; 0: all rows in exact order",
    )
    error_bound: bool = Field(
        False, description="true: the values table says how far each value may be from the exact one"
    )
    self_validation: bool = Field(
        False, description="true: every training row is a validation row too, and sits out its own game"
    )
    by_class: bool = Field(
        False, description="true: the values table says what comes from validation rows of the row's own class"
    )
    review: bool = Field(False, description="true: also decide for each row: keep, relabel, drop or check")
    review_k: int = Field(20, ge=1, description="how many of the nearest rows vote in a review")
    duplicate_radius: float | str = Field(
        "auto", description="up to which distance rows are near-duplicates, or auto", union_mode="left_to_right"
    )
    on_bad_row: Literal["fail", "reject"] = Field(
        "fail", description="fail: stop at bad rows; reject: set them aside, with reasons"
    )
    parent: str | None = Field(None, description="run whose validation rows change; settings are those of that run")
    change: str | None = choice(None, CHANGES, "add validation rows to those of parent, or remove them: add or remove")
    chunk_rows: int = Field(CHUNK_ROWS, ge=1, le=1_000_000, description="validation rows of one task, about")
    run_id: str | None = Field(None, description="name of the run; derived from inputs and options if left out")
    force: bool = Field(False, description="true: compute a run of this id again and replace it")
    work_dir: str | None = Field(None, description="folder that all hosts see, for a large index")
    plan: str = choice("auto", PLANS, "replicated, sharded, or auto: sharded if the index does not fit a host")
    host_memory: str | None = Field(None, description="memory of one host, such as 64g; this machine's if left out")
    epsilon_budget: float | None = Field(None, description="for the private method: limit of all releases")
    delta_budget: float | None = Field(None, description="the delta of epsilon_budget; that of the release if left out")
    budget: str | None = Field(
        None, min_length=1, description="folder that counts the releases of a table; one in output if left out"
    )
    publish_all_values: bool = Field(
        False, description="for the private method: true writes one table, false a folder for each owner"
    )
    report: bool = Field(True, description="write report.html")
    show: str | None = Field(None, min_length=1, description="column of the training table that the report shows")
    mlflow: bool = Field(False, description="log the published run to MLflow (extra `mlflow`)")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="text, json, or auto: text on a terminal, else json"
    )
    engine: Literal["auto", "local", "spark"] = Field(
        "auto", description="spark; local: this machine alone, without Java; auto: local for jobs of under a minute"
    )
    stream: StreamConfig = Field(default_factory=StreamConfig, description="how validation rows arrive")
    spark: SparkConfig = Field(default_factory=SparkConfig, description="for a session that dvspark starts")

    def options(self) -> ValueOptions:
        """Return what the run computes and how: method, parameters and options."""
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
            by_class=self.by_class,
        )

    def _validates_itself(self) -> bool:
        """Return whether the training rows are also the validation rows, by the settings or by the method."""
        return self.self_validation or (self.method in METHODS and METHODS[self.method].self_validates)

    def to_owners(self) -> bool:
        """Return whether each owner gets a folder with the values of only the owner's rows."""
        return self.options().declaration.is_private and not self.publish_all_values

    def asks(self) -> tuple[str, ...]:
        """Return which of "owners", "weights" and "losses" rows must have, for the method or for its output."""
        return self.options().asks + ("owners",) * self.to_owners()

    def train_reference(self) -> TableReference:
        """Return the reference of the training rows, with the owned ones, and with the columns that are asked for."""
        owned = None if self.owned is None else self.owned.reference().of_rows_alone()
        return replace(self.train.reference().asked(self.asks()), owned=owned)

    def validation_reference(self) -> TableReference | None:
        """Return the reference of the validation rows, with the columns that are asked for; None: there are none."""
        return None if self.validation is None else self.validation.reference().of_validation(self.asks())

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters that are set; `n_classes` only if the method has this parameter."""
        given = {name: getattr(self, name) for name in PARAMETERS if getattr(self, name) is not None}
        if self.method in METHODS and not METHODS[self.method].knows("n_classes"):
            given.pop("n_classes", None)
        return given

    def kept(self) -> dict[str, Any]:
        """Return the settings that the run record keeps: all except those of one start or of the Spark session."""
        return self.model_dump(
            mode="json", exclude={"spark", "stream", "engine", "run_id", "force", "parent", "change", "log_format"}
        )

    @model_validator(mode="before")
    @classmethod
    def _with_goal(cls, settings: Any) -> Any:
        return with_goal(settings)

    def problems(self) -> list[Problem]:
        """Return the problems that no single field shows: parameters of the method, fields that exclude each other."""
        problems = self.options().problems() + run_id_problems(self.run_id)
        problems += goal_problems(self.goal, {"method": self.method, "review": self.review})
        problems += [] if self.parent is None else published_id_problems(self.parent, "parent")
        problems += [] if self.change is None else choice_problems("change", self.change, CHANGES)
        if (self.parent is None) != (self.change is None):
            got = "only one of them"
            problems.append(Problem("parent, change", "both or neither", got, "give --add-validation TABLE RUN"))
        problems += choice_problems("plan", self.plan, PLANS) + host_memory_problems(self.host_memory)
        for side, table in (("train", self.train), (OWNED.name, self.owned), ("validation", self.validation)):
            if table is not None and (table.path is None) == (table.table is None):
                got = "neither" if table.path is None else "both"
                problems.append(Problem(side, "either a path or a table", got, f"set {side}.path or {side}.table"))
            if table is not None:
                problems += version_problems(side, table.reference())
                problems += numpy_problems(side, table.reference())
        problems += (
            budget_problems(self.method, self.epsilon_budget, self.delta_budget, self.budget) + self._owned_problems()
        )
        problems += self._group_problems() + epoch_problems(self.options(), self._epochs())
        if self.review:
            problems += review_problems(self.method, self.metric, self.parent)
        problems += radius_problems(self.duplicate_radius) + self._show_problems()
        problems += output_problems(self.output.format, self.output.table, to_owners=not problems and self.to_owners())
        alone = self._validates_itself()
        if alone == (self.validation is not None):
            expected = "a validation table, or self_validation: true; not both"
            got = "both" if alone else "neither"
            problems.append(Problem("validation", expected, got, "give --validation PATH, or --self_validation true"))
        return problems

    def groups_rows(self) -> bool:
        """Return whether validation rows are told apart by weight, task or class."""
        table = self.validation
        return self.by_class or (table is not None and (table.weight or table.task) is not None)

    def _group_problems(self) -> list[Problem]:
        """Return why validation rows cannot be told apart by weight, task or class."""
        names = [] if self.validation is None else ["weight", "task"]
        given = {f"validation.{name}": getattr(self.validation, name) for name in names}
        problems = group_problems(self.options(), given)
        if self.parent is not None:
            given |= {"by_class": "true"} if self.by_class else {}
            hint = "value all rows at once: a run with weights, tasks or classes keeps no totals that could change"
            problems += [
                Problem(where, "none, for a change of a run", written(column), hint)
                for where, column in given.items()
                if column is not None
            ]
        return problems

    def _epochs(self) -> dict[str, str | None]:
        """Return the columns of epochs, by setting."""
        points = {} if self.validation is None else {"validation.epoch": self.validation.epoch}
        return {"train.epoch": self.train.epoch, **points}

    def _show_problems(self) -> list[Problem]:
        """Return why no column can be shown."""
        if self.show is None:
            return []
        problems = []
        if not self.report:
            problems.append(Problem("show", "a report", "report: false", "leave one of them out"))
        if self.method in METHODS and METHODS[self.method].is_private:
            hint = "leave it out: the column of the lowest rows would tell of the table"
            problems.append(Problem("show", f"no column, for {self.method}", written(self.show), hint))
        return problems

    def _owned_problems(self) -> list[Problem]:
        """Return whether owned rows are missing, or there without use."""
        return owned_problems(self.options(), given=self.owned is not None) if self.method in METHODS else []


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

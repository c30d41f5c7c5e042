"""Validate: rows become checked inputs, and everything that decides the run: options, parameters and identity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from dvspark.engine.groups import Groups
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.logs import Stages, log_event
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.options import ValueOptions
from dvspark.privacy import Release
from dvspark.run.change.change import Parent, require_fitting
from dvspark.run.grouping import grouped
from dvspark.run.read import Tables
from dvspark.run.request import ReviewRules, RowRules
from dvspark.runs.files import Files
from dvspark.runs.identity import derived_run_id, fingerprint
from dvspark.runs.ledger import Ledger
from dvspark.runs.private import new_identity
from dvspark.tables.passes import Begin, no_index
from dvspark.tables.sinks.owner_folders import owner_problems
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.table_checks import ValidatedInputs, validate
from dvspark.version import __version__


@dataclass(frozen=True)
class Checked:
    """Inputs that can be valued, and the identity of the run.

    ``secret``: for a private run, the fingerprint that depends on its table and is never shown; ``fingerprint`` is then
    random. ``review``: how rows are reviewed, if they are. ``groups``: of validation rows that do not all count alike.
    """

    options: ValueOptions
    inputs: ValidatedInputs
    parameters: Parameters
    fingerprint: str
    run_id: str
    parent: Parent | None = None
    secret: str | None = None
    release: Release | None = None
    review: ReviewRules | None = None
    groups: Groups | None = None

    def ledger(self, files: Files) -> Ledger:
        """Return the run's ledger."""
        return Ledger(files, self.run_id, self.fingerprint)

    @property
    def ranking(self) -> str | None:
        """How rows are ranked, "sorted" or "binned"; None if the method does not rank all rows."""
        options = self.options
        return options.ranking_for(self.inputs.train_facts.n_rows) if options.declaration.ranks else None

    @property
    def may_change(self) -> bool:
        """Whether rows may be added or removed later. In a private run they may not.

        A release cannot change, and totals would reveal all values. Totals of groups are not kept.
        """
        method = self.options.declaration
        return method.adds_up and not (self.options.self_validation or method.is_private or self.groups)

    @property
    def shows_distances(self) -> bool:
        """Whether the report may show the nearest validation rows of a row.

        They might be among the parent's validation rows, which are not at hand. A private run shows no distances.
        """
        return self.parent is None and not self.options.declaration.is_private

    @property
    def types(self) -> dict[str, str]:
        """The Spark types of id, label, owner and task in the tables of values."""
        of_points = self.inputs.validation.types
        types = self.inputs.train.types | {name: of_points[name] for name in ("task",) if name in of_points}
        return types if self.options.players == "rows" else {**types, "id": types["owner"]}

    @property
    def schema(self) -> pa.Schema:
        """The columns of the values table, with their meanings."""
        types = dict(self.types)
        if self.options.players != "rows":
            types.pop("owner", None)  # they are the ids
        return values_schema(types, row_bounds=self.options.row_bounds, by_class=self.options.by_class)


def validate_tables(
    tables: Tables,
    rules: RowRules,
    options: ValueOptions,
    run_id: str | None,
    chunk_rows: int,
    stages: Stages,
    review: ReviewRules | None = None,
    begin: Begin = no_index,
) -> Checked:
    """Validate the tables and settle what decides the run; ``run_id`` None: its id follows from that.

    ``review``: how rows are reviewed; None: no review. ``begin``: as in `validate`.
    Raises: InputError with everything that is wrong in the tables, ConfigError for options that do not fit them.
    """
    require_a_method_of_jobs(options)
    parent = tables.parent
    with stages.stage("validate") as now:
        sides, to_owners = (tables.train, tables.validation), rules.to_owners
        inputs = validate(*sides, options, rules.on_bad_row, to_owners=to_owners, begin=begin)
        parameters = options.resolved(inputs.n_classes)
        if parent is not None:
            require_fitting(parent, inputs)
            parameters = options.declaration.resolved(parent.record["method"]["parameters"], inputs.n_classes)
        now.rows = inputs.train_facts.n_rows + (inputs.validation_facts.n_rows if tables.validation else 0)
        if rules.to_owners and (unfit := owner_problems(_owners(inputs))):
            raise InputError(unfit)
        _require_options_that_fit(options, parameters, inputs)
        inputs, groups = grouped(inputs, options, chunk_rows)
        now.note = f"{inputs.n_features} features, {inputs.n_classes} classes"
    for warning in inputs.warnings:
        log_event(f"note: {warning}", where=warning.where, got=warning.got)
    checked = _identified(inputs, options, parameters, run_id, chunk_rows, parent, review)
    checked = replace(checked, groups=groups)
    return checked if tables.known is None else replace(checked, inputs=inputs.also_rejected(tables.known))


def require_a_method_of_jobs(options: ValueOptions) -> None:
    """Raise ConfigError for a method that values arrays alone."""
    if not options.declaration.in_jobs:
        hint = "take dp_threshold_knn_shapley, which hides what a job tells besides values; or dvspark.value_arrays"
        raise ConfigError(Problem("method", "a method of jobs", written(options.method), hint))


def _owners(inputs: ValidatedInputs) -> list[str | int]:
    return inputs.train.distinct("owner")


def _require_options_that_fit(options: ValueOptions, parameters: Parameters, inputs: ValidatedInputs) -> None:
    """Raise ConfigError for options that do not fit the tables."""
    several = inputs.train.is_multi_label or inputs.validation.is_multi_label
    n_train, n_features = inputs.train_facts.n_rows, inputs.n_features
    if problems := fitting_problems(options, parameters, n_train, n_features, several=several):
        raise ConfigError(problems)


def fitting_problems(
    options: ValueOptions, parameters: Parameters, n_train: int, n_features: int, *, several: bool
) -> list[Problem]:
    """Return which options do not fit tables of this size; ``several``: rows may have several labels."""
    problems = options.declaration.label_problems(several=several)
    if not is_game_of_owners(options):
        problems += options.declaration.size_problems(n_train - options.self_validation, parameters)
    return problems + options.table_problems(n_train, n_features)


def is_game_of_owners(options: ValueOptions) -> bool:
    """Return whether owners play, so that the number of rows does not tell what a game needs."""
    return options.players == "owners" and options.declaration.knows("evaluations")


def _identified(
    inputs: ValidatedInputs,
    options: ValueOptions,
    parameters: Parameters,
    run_id: str | None,
    chunk_rows: int,
    parent: Parent | None,
    review: ReviewRules | None,
) -> Checked:
    """Return the inputs with the run's identity: from all that decides its values, or random if private."""
    decisive = {
        "version": __version__,
        "options": {**options.record(), "parameters": parameters.plain()},
        "chunk_rows": chunk_rows,
        "train": inputs.train_facts.digest,
        "validation": inputs.validation_facts.digest,
        **({} if review is None else {"review": review.plain()}),
        **({} if parent is None else {"parent": [parent.record["fingerprint"], parent.change]}),
    }
    if options.declaration.is_private:
        # A digest of the private table could reveal a single label in it.
        shown = new_identity(options.method, run_id)
        secret = fingerprint({**decisive, "run_id": run_id})
        method = PrivateMethod.of(options.declaration)
        release = method.release(method.own(parameters), inputs.validation_facts.n_rows)
        return Checked(options, inputs, parameters, shown.fingerprint, shown.run_id, secret=secret, release=release)
    full = fingerprint(decisive)
    return Checked(
        options, inputs, parameters, full, run_id or derived_run_id(options.method, full), parent, review=review
    )

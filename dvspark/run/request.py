"""Request: the parts of a configuration; each stage gets the parts that it needs, and none gets the whole."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.review.review_rows import AUTO
from dvspark.tables.sinks.places import Place
from dvspark.tables.sources.reference import TableReference


@dataclass(frozen=True)
class RowRules:
    """What becomes of bad rows, "fail" or "reject", and whether each training row must have an owner to go to."""

    on_bad_row: str = "fail"
    to_owners: bool = False


@dataclass(frozen=True)
class Change:
    """A change of the validation rows of the published run ``parent``: the ``kind`` is "add" or "remove".

    ``run_id`` is the id that the changed run is asked to have.
    """

    parent: str
    kind: str
    run_id: str | None = None


@dataclass(frozen=True)
class Spread:
    """How the work is to be spread; `dvspark.config.job.JobConfig` explains each field.

    ``work_dir`` None: the index lies in a temporary folder of this machine.
    """

    plan: str = "auto"
    chunk_rows: int = CHUNK_ROWS
    host_memory: str | None = None
    work_dir: str | None = None


@dataclass(frozen=True)
class ShownColumn:
    """The column ``name`` of the training table ``reference``, by which a person recognizes rows in a report."""

    reference: TableReference
    name: str


@dataclass(frozen=True)
class Delivery:
    """Where values go: to ``place``, or to a folder for each owner if ``to_owners``; with a ``report``, or without.

    ``shown``: a column that the report shows. ``force``: what the run id has published before is replaced.
    ``mlflow``: the run is also logged to MLflow.
    """

    place: Place
    force: bool
    to_owners: bool
    report: bool
    mlflow: bool
    shown: ShownColumn | None = None


@dataclass(frozen=True)
class ReviewRules:
    """How rows are reviewed: by the votes of ``k`` nearest rows; within which distance two are nearly the same.

    ``duplicate_radius`` "auto": it follows from the data.
    """

    k: int = 20
    duplicate_radius: float | str = AUTO

    def plain(self) -> int | list[int | float]:
        """Return what decides a review, as plain data; a radius only where it is given."""
        return self.k if isinstance(self.duplicate_radius, str) else [self.k, float(self.duplicate_radius)]


@dataclass(frozen=True)
class Budget:
    """What all private releases of ``table`` may come to; ``folder`` counts them, None: a folder in the output.

    ``epsilon`` None: there is no limit. ``delta`` None: that of the release.
    """

    table: TableReference
    folder: str | None
    epsilon: float | None
    delta: float | None

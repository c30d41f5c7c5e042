"""Request: what a run is asked for besides its tables."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.config.job import JobConfig
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.methods.options import ValueOptions


@dataclass(frozen=True)
class Request:
    """What a run is asked for besides its tables; `dvspark.config.job.JobConfig` explains each field."""

    options: ValueOptions
    on_bad_row: str = "fail"
    chunk_rows: int = CHUNK_ROWS
    run_id: str | None = None
    work_dir: str | None = None
    plan: str = "auto"
    host_memory: str | None = None
    extremes: bool = True
    to_owners: bool = False
    parent: str | None = None
    change: str | None = None


def request_of(config: JobConfig) -> Request:
    """Return what the configuration of a job asks for."""
    options = config.options()
    return Request(
        options=options,
        on_bad_row=config.on_bad_row,
        chunk_rows=config.chunk_rows,
        run_id=config.run_id,
        work_dir=config.work_dir,
        plan=config.plan,
        host_memory=config.host_memory,
        # The nearest rows might be among the parent's validation rows, which are not at hand.
        # A private run shows no distances.
        extremes=config.report and not options.declaration.is_private and config.parent is None,
        to_owners=config.to_owners(),
        parent=config.parent,
        change=config.change,
    )

"""Job names: what Spark's own pages say of the jobs of a run, which run and which of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dvspark.logs import Stage, Stages
from dvspark.spark.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The description of a job, in Spark's local properties of the thread that starts it.
DESCRIPTION = "spark.job.description"


class NamedStages(Stages):
    """The stages of a run, of which Spark is told: "dvspark RUN_ID: STAGE", as soon as the run has its id.

    Classic Spark shows it as the description of jobs and queries, Connect as a tag of them. The caller's job group
    stays, by which the caller may cancel.
    """

    def __init__(self, spark: SparkSession | None, run_id: str | None) -> None:
        super().__init__()
        self.run_id = run_id
        self._spark = spark
        self._tag: str | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time the stage that the block is, and name the jobs that it starts in this thread."""
        self._begin(name)
        with super().stage(name) as current:
            yield current

    def _begin(self, name: str) -> None:
        if self._spark is None:  # there are no jobs
            return
        text = f"dvspark {self.run_id}: {name}" if self.run_id else f"dvspark: {name}"
        with suppress(Exception):  # a name: a session that is gone ends the stage itself, which tells of it
            if is_connect(self._spark):
                self.untag()
                self._tag = text
                self._spark.addTag(text)
            else:
                self._spark.sparkContext.setJobDescription(text)

    def untag(self) -> None:
        """Take the tag of a stage that has ended off a Connect session."""
        if self._tag is not None and self._spark is not None:
            self._spark.removeTag(self._tag)
            self._tag = None


@contextmanager
def named_jobs(spark: SparkSession | None, run_id: str | None) -> Iterator[NamedStages]:
    """Yield the stages of a run, whose jobs have names in this thread; the caller's description is there afterward."""
    stages, before = NamedStages(spark, run_id), None
    if spark is None:
        yield stages
        return
    if not is_connect(spark):
        with suppress(Exception):
            before = spark.sparkContext.getLocalProperty(DESCRIPTION)
    try:
        yield stages
    finally:
        with suppress(Exception):
            if is_connect(spark):
                stages.untag()
            else:
                spark.sparkContext.setLocalProperty(DESCRIPTION, before)  # type: ignore[arg-type] # None unsets it

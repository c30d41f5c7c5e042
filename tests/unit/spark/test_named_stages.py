"""Names of jobs: what each kind of session is told, and what is there afterward. Real sessions: tests/spark."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.spark.job_names import DESCRIPTION, named_jobs


class Context:
    """A SparkContext's local properties."""

    def __init__(self) -> None:
        self.properties: dict[str, str | None] = {DESCRIPTION: "the caller's"}

    def getLocalProperty(self, key: str) -> str | None:
        return self.properties.get(key)

    def setLocalProperty(self, key: str, value: str | None) -> None:
        self.properties[key] = value

    def setJobDescription(self, text: str) -> None:
        self.properties[DESCRIPTION] = text


class Classic:
    def __init__(self) -> None:
        self.sparkContext = Context()


class Connect:
    def __init__(self) -> None:
        self.tags = {"the caller's"}

    def addTag(self, tag: str) -> None:
        self.tags.add(tag)

    def removeTag(self, tag: str) -> None:
        self.tags.discard(tag)


Connect.__module__ = "pyspark.sql.connect.session"


def shown(spark: Any) -> Any:
    return spark.tags - {"the caller's"} if isinstance(spark, Connect) else {spark.sparkContext.properties[DESCRIPTION]}


@pytest.mark.parametrize("kind", [Classic, Connect])
def test_named_jobs__say_the_stage_and_the_run_once_it_is_known(kind: Any) -> None:
    spark: Any = kind()
    with named_jobs(spark, None) as stages:
        with stages.stage("read"):
            assert shown(spark) == {"dvspark: read"}
        stages.run_id = "first"
        with stages.stage("value"):
            assert shown(spark) == {"dvspark first: value"}
    assert spark.tags == {"the caller's"} if kind is Connect else shown(spark) == {"the caller's"}
    assert [one["stage"] for one in stages.record()] == ["read", "value"]


@pytest.mark.parametrize("kind", [Classic, Connect])
def test_named_jobs__of_a_run_that_fails_are_not_the_callers(kind: Any) -> None:
    spark: Any = kind()
    with pytest.raises(ValueError, match="broken"), named_jobs(spark, "first") as stages, stages.stage("read"):
        raise ValueError("broken")
    assert spark.tags == {"the caller's"} if kind is Connect else shown(spark) == {"the caller's"}


def test_named_jobs__a_session_that_takes_no_names_runs_all_the_same() -> None:
    class Gone:
        @property
        def sparkContext(self) -> Any:
            raise RuntimeError("stopped")

    with named_jobs(Gone(), None) as stages, stages.stage("read"):  # type: ignore[arg-type]
        pass
    assert [one["stage"] for one in stages.record()] == ["read"]

"""A session has what a run needs while it runs, and what it had afterwards, however many runs there are at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dvspark.errors import ConfigError
from dvspark.tables.sources.session_settings import RULES, in_own_settings, own_settings

LARGE, BATCH = "spark.sql.execution.arrow.useLargeVarTypes", "spark.sql.execution.arrow.maxRecordsPerBatch"
CORRUPT = "spark.sql.files.ignoreCorruptFiles"


class Conf:
    """Settings of a session, some of which cannot be set."""

    def __init__(self, fixed: tuple[str, ...] = (), **values: str) -> None:
        self.values, self.fixed = values, fixed

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: str) -> None:
        if key in self.fixed:
            raise RuntimeError("not modifiable")
        self.values[key] = value


def _session(*fixed: str, **values: str) -> Any:
    return SimpleNamespace(conf=Conf(fixed, **values), createDataFrame=None, is_stopped=False)


def test_own_settings__are_given_back_after_the_last_run() -> None:
    given = {LARGE: "true", BATCH: "-1", CORRUPT: "TRUE", "spark.sql.ansi.enabled": "false"}
    spark = _session(**given)
    needed = {LARGE: "false", BATCH: "10000", CORRUPT: "false", "spark.sql.ansi.enabled": "false"}
    with own_settings(spark):
        assert spark.conf.values == needed
        with pytest.raises(ZeroDivisionError), own_settings(spark):
            raise ZeroDivisionError
        assert spark.conf.values == needed
    assert spark.conf.values == given


def test_own_settings__touch_nothing_that_is_right() -> None:
    spark = _session(*RULES, **{BATCH: "7"})
    with own_settings(spark):
        assert spark.conf.values == {BATCH: "7"}


def test_own_settings__that_cannot_be_set_are_named() -> None:
    spark = _session(CORRUPT, **{CORRUPT: "true", LARGE: "true"})
    with pytest.raises(ConfigError, match=CORRUPT), own_settings(spark):
        pass
    assert spark.conf.values == {CORRUPT: "true", LARGE: "true"}


def test_in_own_settings__finds_the_session_among_arguments() -> None:
    spark = _session(**{LARGE: "true"})
    seen: list[str] = []

    @in_own_settings
    def work(_first: object, frame: Any = None) -> int:
        seen.append(spark.conf.get(LARGE))
        return 7

    assert work(1, spark) == work(SimpleNamespace(sparkSession=spark)) == work(None, frame=spark) == work(None) == 7
    assert seen == ["false", "false", "false", "true"]

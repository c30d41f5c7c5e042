"""The log: one line a stage, JSON where nobody reads along, and progress that does not flood."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from dvspark import logs
from dvspark.logs import Stage, Stages, log_event, set_up_logs


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Stream(io.StringIO):
    """A standard error that is a terminal, or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture(autouse=True)
def _log_as_found() -> Iterator[None]:
    before = logs.LOGGER.handlers[:], logs.LOGGER.level, logs.LOGGER.propagate
    yield
    logs.LOGGER.handlers[:], logs.LOGGER.level, logs.LOGGER.propagate = before


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    kept = {"strftime": time.strftime, "gmtime": time.gmtime}
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=clock.monotonic, **kept))
    # The class took the true clock for its default when it was made.
    monkeypatch.setattr(logs, "Stage", lambda name: Stage(name, started=clock.now))
    return clock


@pytest.fixture
def stream_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set up the log on a new standard error and return it."""

    def set_up(log_format: str, *, is_terminal: bool = False) -> Stream:
        stream = Stream(is_terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        set_up_logs(log_format)
        return stream

    return set_up


def json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def new_stage(clock: Clock) -> Stage:
    return Stage("value", started=clock.now)


# --- stages -----------------------------------------------------------------------------------------------


def test_stage__is_one_line_for_a_person(stream_of: Any, clock: Clock) -> None:
    stream, stages = stream_of("text"), Stages()
    with stages.stage("index") as now:
        clock.now += 3.25
        now.rows, now.note = 12_345, "1.5 MiB"
    assert stream.getvalue() == "index         3.25 s       12,345 rows 1.5 MiB\n"
    assert stages.record() == [{"stage": "index", "seconds": 3.25, "rows": 12_345}]


def test_stage__without_rows_or_note_is_a_short_line(stream_of: Any, clock: Clock) -> None:
    stream = stream_of("text")
    with Stages().stage("plan"):
        pass
    assert stream.getvalue() == "plan          0.00 s\n"


def test_stage__is_fields_for_a_machine(stream_of: Any, clock: Clock) -> None:
    stream = stream_of("json")
    with Stages().stage("index") as now:
        clock.now += 3.25
        now.rows, now.note = 12_345, "1.5 MiB"
    (line,) = json_lines(stream)
    expected = {"level": "info", "stage": "index", "seconds": 3.25, "rows": 12_345, "note": "1.5 MiB"}
    assert {name: line[name] for name in expected} == expected
    assert line["time"].endswith("Z")
    assert "12,345 rows" in line["message"]


def test_stage__that_fails_is_not_said_to_have_ended(stream_of: Any, clock: Clock) -> None:
    stream, stages = stream_of("json"), Stages()
    with pytest.raises(ValueError, match="broken"), stages.stage("index"):
        raise ValueError("broken")
    assert (stream.getvalue(), stages.record()) == ("", [])


def test_stages__come_in_order(stream_of: Any, clock: Clock) -> None:
    stream_of("json")
    stages = Stages()
    for name in ("read", "plan", "value"):
        with stages.stage(name):
            clock.now += 1
    assert [(one["stage"], one["seconds"]) for one in stages.record()] == [("read", 1), ("plan", 1), ("value", 1)]


# --- progress ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("log_format", "interval"), [("text", 1.0), ("json", 10.0)])
def test_progress__is_said_at_most_once_an_interval(
    log_format: str, interval: float, stream_of: Any, clock: Clock
) -> None:
    stream = stream_of(log_format)
    report, said = new_stage(clock).expect(0, 40, 1, ""), []
    for step in range(1, 41):
        clock.now += interval / 4
        before = len(stream.getvalue())
        report(step, 40)
        if len(stream.getvalue()) > before:
            said.append(step)
    assert said == list(range(4, 41, 4))


def test_progress__says_at_once_what_the_first_chunks_wait_for_and_repeats_nothing(
    stream_of: Any, clock: Clock
) -> None:
    stream = stream_of("text")
    report = new_stage(clock).expect(0, 8, 2, "starting workers")
    for _ in range(3):
        clock.now += 100
        report(0, 8)
    assert stream.getvalue() == "value       0 %  0 of 8 chunks, starting workers\n"


def test_progress__tells_how_far_and_how_long(stream_of: Any, clock: Clock) -> None:
    stream = stream_of("text")
    report = new_stage(clock).expect(0, 8, 2, "starting workers")
    for done in (2, 4):
        clock.now += 45
        report(done, 8)
    assert stream.getvalue().splitlines()[1:] == [
        "value      25 %  2 of 8 chunks",
        "value      50 %  4 of 8 chunks, 1 min 30 s left",
    ]


def test_progress__is_fields_for_a_machine(stream_of: Any, clock: Clock) -> None:
    stream = stream_of("json")
    report = new_stage(clock).expect(0, 8, 2, "starting workers")
    for done in (2, 4):
        clock.now += 45
        report(done, 8)
    lines = [(line["stage"], line["percent"], line["seconds_left"]) for line in json_lines(stream)]
    assert lines == [("value", 0, None), ("value", 25, None), ("value", 50, 90.0)]


@pytest.mark.parametrize("fails", [False, True])
def test_progress__on_a_terminal_stays_in_its_line_and_is_wiped(fails: bool, stream_of: Any, clock: Clock) -> None:
    stream = stream_of("auto", is_terminal=True)
    with suppress(ValueError), Stages().stage("value") as now:
        report = now.expect(0, 4, 1, "")
        for done in (1, 3):
            clock.now += 2
            report(done, 4)
        assert "\n" not in stream.getvalue()
        assert stream.getvalue().count("\r") == 3
        if fails:
            raise ValueError
    *_, wiped, line = stream.getvalue().split("\r")
    assert wiped == " " * 78
    assert line.startswith("" if fails else "value         4.00 s")


# --- set-up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_terminal", "is_json"), [(True, False), (False, True)])
def test_set_up_logs__auto_asks_the_stream(is_terminal: bool, is_json: bool, stream_of: Any) -> None:
    stream = stream_of("auto", is_terminal=is_terminal)
    log_event("hello", n=1)
    assert stream.getvalue().startswith("{") is is_json
    assert "hello" in stream.getvalue()


def test_set_up_logs__again_replaces_and_does_not_repeat(stream_of: Any, caplog: Any) -> None:
    stream_of("json")
    stream = stream_of("text")
    log_event("hello")
    assert stream.getvalue() == "hello\n"
    assert len(logs.LOGGER.handlers) == 1
    # Nor does the root logger of an application say it again.
    assert not caplog.records


def test_log_event__what_json_does_not_know_becomes_words(stream_of: Any) -> None:
    stream = stream_of("json")
    log_event("two\nlines", level=logging.ERROR, where={1: stream.isatty}, path=ValueError("x"))
    (line,) = json_lines(stream)
    assert (line["message"], line["level"], line["path"]) == ("two\nlines", "error", "x")

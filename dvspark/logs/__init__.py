"""Logs: readable lines on a terminal, JSON lines elsewhere; one line for each stage, and progress of long stages."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dvspark.logs.displays import display_for
from dvspark.logs.progress import Progress
from dvspark.logs.redact import redacted, redacted_tree, visible_lines
from dvspark.logs.rounds import Rounds

LOGGER = logging.getLogger("dvspark")
FORMATS = ("auto", "text", "json")


class JsonLines(logging.Formatter):
    """One JSON object for each line: time, level, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "event", {}),
        }
        return json.dumps(redacted_tree(event), default=lambda other: redacted(str(other)))


class TextLines(logging.Formatter):
    """Lines for people. Further lines of a message are indented, so that data cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        return visible_lines(redacted(record.getMessage()))


def format_of_environment() -> str | None:
    """Return the log format that the environment names, for commands without settings too; None if it names none."""
    named = (value for name, value in os.environ.items() if name.upper() == "DVSPARK_LOG_FORMAT")
    return next((value for value in named if value in FORMATS), None)


def set_up_logs(log_format: str = "auto") -> None:
    """Send dvspark's log to standard error, replacing any earlier set-up."""
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    _set_up_others(handler)


def _set_up_others(handler: logging.Handler) -> None:
    """Show warnings of other packages in our format, without stack traces, unless the process has a log of its own.

    py4j's are left out: each is about a broken connection, which follows from something that dvspark reports itself.
    """
    root = logging.getLogger()
    if all(isinstance(other.formatter, JsonLines | TextLines) for other in root.handlers):
        others = logging.StreamHandler(sys.stderr)
        others.setFormatter(handler.formatter)
        others.setLevel(logging.WARNING)
        others.addFilter(lambda record: "py4j" not in Path(record.pathname).parts)
        root.handlers[:] = [others]


def log_event(message: str, *, level: int = logging.INFO, **event: Any) -> None:
    """Log a line; ``event`` has its fields in JSON."""
    LOGGER.log(level, message, extra={"event": event})


@dataclass
class Stage:
    """One stage of a run while it runs; set ``rows`` and ``note`` before it ends."""

    name: str
    rows: int | None = None
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    _progress: Progress | None = None

    def expect(self, done: int, total: int, at_once: int, phase: str, unit: str = "chunks") -> Progress:
        """Return what to call with (chunks done, chunks in all) as chunks end; ``done`` were done before.

        ``at_once`` chunks run at a time; ``phase`` says what the first of them do besides. ``unit``: what is counted.
        """
        rounds = Rounds(self.name, done, at_once, phase, unit)
        self._progress = Progress(rounds, display_for(log_event, as_json=_is_json()), self.started, time.monotonic)
        self._progress(done, total)
        return self._progress

    def end_progress(self, *, failed: bool = False) -> None:
        """Show that no more chunks are computed."""
        if self._progress is not None:
            self._progress.end(failed=failed)


@dataclass(frozen=True)
class EndedStage:
    """A stage that has ended, as the run record has it."""

    stage: str
    seconds: float
    rows: int | None


class Stages:
    """The clock of a run: times its stages, one after the other, and knows those that have ended."""

    def __init__(self) -> None:
        self._ended: list[EndedStage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time the stage that the block is, and log it when it ends."""
        current = Stage(name)
        try:
            yield current
        except BaseException:
            current.end_progress(failed=True)
            raise
        current.end_progress()
        ended = EndedStage(name, round(time.monotonic() - current.started, 3), current.rows)
        self._ended.append(ended)
        rows = "" if ended.rows is None else f"{ended.rows:>12,} rows"
        message = f"{name:<9} {ended.seconds:>8.2f} s {rows:<17} {current.note}".rstrip()
        log_event(message, **asdict(ended), note=current.note)

    def record(self) -> list[dict[str, Any]]:
        """Return the stages that have ended, in order, as plain data."""
        return [asdict(ended) for ended in self._ended]


def _is_json() -> bool:
    return any(isinstance(handler.formatter, JsonLines) for handler in LOGGER.handlers)

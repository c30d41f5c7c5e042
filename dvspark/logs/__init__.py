"""Logs: human lines on a terminal, JSON lines elsewhere; one line a stage, progress on long ones."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvspark.logs.redact import redacted, redacted_tree, visible_lines

LOGGER = logging.getLogger("dvspark")

# A progress line is written again after this many seconds, on a terminal in place.
PROGRESS_SECONDS = {"text": 1.0, "json": 10.0}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and the fields of the event."""

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
    """What a person reads; further lines of a message are indented, so that data cannot forge one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        return visible_lines(redacted(record.getMessage()))


def set_up_logs(log_format: str = "auto") -> None:
    """Send dvspark's log to standard error, in place of any earlier set-up."""
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    _set_up_others(handler)


def _set_up_others(handler: logging.Handler) -> None:
    """Have warnings of other packages in our format, without their traces, unless the process has a log of its own.

    py4j's are left out: it tells of each connection that breaks, which follows from something that we tell.
    """
    root = logging.getLogger()
    if all(isinstance(other.formatter, JsonLines | TextLines) for other in root.handlers):
        others = logging.StreamHandler(sys.stderr)
        others.setFormatter(handler.formatter)
        others.setLevel(logging.WARNING)
        others.addFilter(lambda record: "py4j" not in Path(record.pathname).parts)
        root.handlers[:] = [others]


def log_event(message: str, *, level: int = logging.INFO, **event: Any) -> None:
    """Log a line; ``event`` are its fields in JSON."""
    LOGGER.log(level, message, extra={"event": event})


@dataclass
class Stage:
    """One stage of a run while it goes on: set ``rows`` and ``note`` before it ends."""

    name: str
    rows: int | None = None
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    _said: float = 0.0

    def progress(self, done: int, total: int) -> None:
        """Say how far the stage is, in percent and time left, but not too often."""
        now = time.monotonic()
        interval = PROGRESS_SECONDS["json" if _is_json() else "text"]
        if done == 0 or now - max(self.started, self._said) < interval:
            return
        self._said = now
        left = (now - self.started) / done * (total - done)
        text = f"{self.name:<9} {100 * done // total:>3} %  {done} of {total} chunks, {duration(left)} left"
        if _is_json() or not sys.stderr.isatty():
            log_event(text, stage=self.name, percent=100 * done // total, seconds_left=round(left, 1))
        else:
            sys.stderr.write(f"\r{text:<78}")
            sys.stderr.flush()


class Stages(list[dict[str, Any]]):
    """The stages of a run that have ended, and who is told of those that begin: whoever overrides this."""

    def begins(self, name: str) -> None:
        """Take note of a stage that begins."""


@contextmanager
def stage(name: str, stages: list[dict[str, Any]]) -> Iterator[Stage]:
    """Time a stage, log it when it ends, and append it to ``stages``, which are told when it begins."""
    current = Stage(name)
    if isinstance(stages, Stages):
        stages.begins(name)
    yield current
    seconds = round(time.monotonic() - current.started, 3)
    stages.append({"stage": name, "seconds": seconds, "rows": current.rows})
    if current._said and not _is_json() and sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 78 + "\r")
    rows = "" if current.rows is None else f"{current.rows:>12,} rows"
    log_event(
        f"{name:<9} {seconds:>8.2f} s {rows:<17} {current.note}".rstrip(),
        stage=name,
        seconds=seconds,
        rows=current.rows,
        note=current.note,
    )


def _is_json() -> bool:
    return any(isinstance(handler.formatter, JsonLines) for handler in LOGGER.handlers)


def duration(seconds: float) -> str:
    """Return a time as people say it, in hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""Logs: readable lines on a terminal, JSON lines elsewhere; one line for each stage, and progress of long stages."""

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

# Seconds between two progress lines; on a terminal, the new line replaces the old one.
PROGRESS_SECONDS = {"text": 1.0, "json": 10.0}


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
    _said: float = 0.0

    def progress(self, done: int, total: int) -> None:
        """Log how far the stage is, in percent, and the time left; not too often."""
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


@contextmanager
def stage(name: str, stages: list[dict[str, Any]]) -> Iterator[Stage]:
    """Time a stage, log it when it ends, and append it to ``stages``."""
    current = Stage(name)
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
    """Return a time in hours, minutes and seconds as text for people."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

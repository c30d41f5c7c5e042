"""Displays: where progress is shown, in a notebook, on a terminal or in the log. No error of a display ends a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from html import escape
from importlib import import_module
from typing import Any, Protocol

from dvspark.logs.rounds import Told
from dvspark.units import show_seconds

# The line on a terminal has this width: a longer one would break, and `\r` would not go back to its begin.
WIDTH = 78


class Display(Protocol):
    """Where the progress of one stage is shown; ``seconds`` go by between two changes."""

    seconds: float

    def show(self, told: Told) -> None:
        """Show how far the stage is."""

    def end(self, told: Told, seconds: float, *, failed: bool) -> None:
        """Show that the stage has ended, or failed, after so many seconds."""


class LogLines:
    """Progress as lines of the log."""

    def __init__(self, log: Callable[..., None], seconds: float) -> None:
        self.seconds = seconds
        self._log = log

    def show(self, told: Told) -> None:
        """Log a line."""
        left = None if told.seconds_left is None else round(told.seconds_left, 1)
        self._log(told.line, stage=told.stage, percent=told.percent, seconds_left=left)

    def end(self, told: Told, seconds: float, *, failed: bool) -> None:
        """Say nothing: the end of a stage is a line of its own."""


class TerminalLine:
    """Progress in one line of standard error, which the line of the ended stage replaces."""

    seconds = 1.0

    def show(self, told: Told) -> None:
        """Write over the line."""
        _write(f"\r{told.line[:WIDTH]:<{WIDTH}}")

    def end(self, told: Told, seconds: float, *, failed: bool) -> None:  # noqa: ARG002 - another line tells it
        """Wipe the line."""
        _write("\r" + " " * WIDTH + "\r")


class NotebookBar:
    """Progress as a bar below a cell of a notebook: one output, updated in place, with no widget to install."""

    seconds = 0.5

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, told: Told) -> None:
        """Draw the bar."""
        self._draw(told, f"{told.percent} %", told.text)

    def end(self, told: Told, seconds: float, *, failed: bool) -> None:
        """Leave the bar as it is, with the time that the stage took."""
        how = "stopped after" if failed else "in"
        self._draw(told, f"{told.percent} %", f"{told.done} of {told.total} {told.unit}, {how} {show_seconds(seconds)}")

    def _draw(self, told: Told, percent: str, text: str) -> None:
        label = escape(f"{told.stage} {percent}")
        bar = f'<progress value="{told.done}" max="{told.total}" aria-label="{label}"></progress>'
        words = {"text/plain": f"{told.stage:<9} {percent:>5}  {text}"}
        words["text/html"] = f"<div>{escape(told.stage)} {bar} {escape(percent)}, {escape(text)}</div>"
        with suppress(Exception):
            if self._handle is None:
                self._handle = self._display(words, raw=True, display_id=True)
            else:
                self._handle.update(words, raw=True)


def display_for(log: Callable[..., None], *, as_json: bool) -> Display:
    """Return where this process shows progress; ``log`` logs a line with fields, ``as_json`` for a machine."""
    if (shown := _of_notebook()) is not None:
        return NotebookBar(shown)
    with suppress(Exception):  # there may be no standard error, or a closed one
        if not as_json and sys.stderr.isatty():
            return TerminalLine()
    return LogLines(log, 10.0 if as_json else 1.0)


def _of_notebook() -> Callable[..., Any] | None:
    """Return the function that shows an object below a cell, None if no notebook runs this process."""
    with suppress(Exception):
        shell = sys.modules["IPython"].get_ipython()
        if getattr(shell, "kernel", None) is not None:  # IPython on a terminal has none
            shown: Callable[..., Any] = import_module("IPython.display").display
            return shown
    return None


def _write(text: str) -> None:
    with suppress(Exception):
        sys.stderr.write(text)
        sys.stderr.flush()

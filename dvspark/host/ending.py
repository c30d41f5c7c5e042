"""Ending: a signal ends a command like an error, within seconds, with the signal's exit code."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from dvspark.logs import log_event

# The convention of shells: 128 plus the signal's number.
EXIT_CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
# Seconds for the command's own cleaning. After them the process ends wherever it is, such as in a read without end.
GRACE_SECONDS = 7.0


class Ended(BaseException):
    """Raised once in the main thread when the first signal arrives; no `except Exception` catches it."""


class _State:
    """The state of this process's end."""

    signal: signal.Signals | None = None
    is_answering = False
    last_words = threading.Lock()  # of the main thread, or of the one that ends the process without it
    at_once: tuple[Callable[[], object], ...] = ()
    left: frozenset[Path] = frozenset()


def is_ending() -> bool:
    """Return whether a signal has arrived."""
    return _State.signal is not None


def answered(work: Callable[[], int], *, last: bool = False) -> int:
    """Return the exit code of ``work``, or that of the signal that ended it.

    ``last``: nothing comes after it in this process, so the handlers stay, and later signals have no effect. In a
    thread other than the main one, signals are left to others.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    before, was_answering = {number: signal.getsignal(number) for number in EXIT_CODES}, _State.is_answering
    after = dict.fromkeys(before, signal.SIG_IGN) if last else before  # Python's own handlers end before Python does
    with _watched() as is_over:
        try:
            try:
                _State.is_answering = True
                answer_signals()
                exit_code = work()
            finally:
                _State.is_answering = was_answering
                with suppress(Ended):  # it comes once
                    _set(after)
                _set(after)
        except BaseException:
            if _State.signal is None:
                raise
        if _State.signal is None:
            return exit_code
        with _State.last_words:
            exit_code = _last_words(_State.signal)
            is_over.set()
    _State.signal, _State.left = None, frozenset()
    return exit_code


def answer_signals() -> None:
    """Install handlers of the signals that end a command; again after Spark's start, which takes SIGINT over.

    A hang-up that is already ignored, as under nohup, stays ignored. In a process that is no command's, such as a
    notebook's, whose user interrupts one cell and goes on with the next, signals are left to others.
    """
    if threading.current_thread() is not threading.main_thread() or not _State.is_answering:
        return
    for number in EXIT_CODES:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _first)


@contextmanager
def at_once(action: Callable[[], object]) -> Iterator[None]:
    """Run ``action`` in a thread of its own as soon as a signal arrives while the block runs."""
    _State.at_once = (*_State.at_once, action)
    try:
        yield
    finally:
        _State.at_once = tuple(other for other in _State.at_once if other is not action)


def remove_at_end(folder: Path) -> None:
    """Have a folder removed if a signal keeps its owner from removing it."""
    _State.left |= {folder}


def is_removed(folder: Path) -> None:
    """Note that a folder's owner has removed it."""
    _State.left -= {folder}


def _first(number: int, _frame: FrameType | None) -> None:
    """Leave the main thread as by an error, so that staged files and a session started here are cleaned up."""
    if is_ending():
        return
    _State.signal = signal.Signals(number)
    sys.unraisablehook = lambda _: None  # a broken connection is no news from here on
    threading.excepthook = lambda _: None
    raise Ended


def _set(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _last_words(number: signal.Signals) -> int:
    for folder in _State.left:
        shutil.rmtree(folder, ignore_errors=True)
    said = f"stopped by {number.name}; what is not yet published will not be; the same command goes on from here"
    log_event(said, level=40, signal=number.name, exit_code=EXIT_CODES[number])
    return EXIT_CODES[number]


@contextmanager
def _watched() -> Iterator[threading.Event]:
    """Watch from a thread for signals, and for an end that takes too long: the main thread may be busy in C code."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before, is_over = signal.set_wakeup_fd(writing, warn_on_full_buffer=False), threading.Event()
    watcher = threading.Thread(target=_watch, args=(reading, is_over), daemon=True)
    watcher.start()
    try:
        yield is_over
    finally:
        is_over.set()
        signal.set_wakeup_fd(before)
        os.close(writing)  # the watcher's last read
        watcher.join(1)


def _watch(reading: int, is_over: threading.Event) -> None:
    with open(reading, "rb", buffering=0) as signals:  # open to the end: a later signal is written here, too
        while number := signals.read(1):
            if number[0] not in EXIT_CODES or is_over.is_set():
                continue
            for action in _State.at_once:
                with suppress(Exception):
                    action()
            if not is_over.wait(GRACE_SECONDS):
                with _State.last_words:
                    if not is_over.is_set():
                        os._exit(_last_words(signal.Signals(number[0])))

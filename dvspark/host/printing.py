"""Printing: what a command tells goes to standard output."""

from __future__ import annotations

import os
import sys

from dvspark.errors import ConfigError, Problem


def tell(text: str) -> None:
    """Print a text. A reader that has seen enough of it, such as `head`, is no error.

    Raises: ConfigError where the text finds no place, such as in a file on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        if not isinstance(error, BrokenPipeError):
            got, hint = error.strerror or str(error), "lead it elsewhere; all files that the command wrote are there"
            raise ConfigError(Problem("standard output", "a place that takes the text", got, hint)) from None


def open_standard_streams() -> None:
    """Have standard streams that were closed before the start lead nowhere.

    Otherwise the next file that is opened takes the place of one, and gets what this process and its children print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, so that of the stream
            os.set_inheritable(place, True)
            setattr(sys, name, os.fdopen(place, mode, encoding="utf-8"))

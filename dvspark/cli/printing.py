"""Printing: what a command tells goes to standard output."""

from __future__ import annotations

import os
import sys


def tell(text: str) -> None:
    """Print a text. A reader that has seen enough of it, such as `head`, is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends

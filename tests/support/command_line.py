"""The command line in the tests' own process: words in, exit code out."""

from __future__ import annotations

import signal

from dvspark import logs
from dvspark.cli import main


def run_command(*words: object) -> int:
    """Run a command; what it sets for a process that ends with it is set back."""
    handler, handlers = signal.getsignal(signal.SIGTERM), logs.LOGGER.handlers[:]
    try:
        return main([str(word) for word in words])
    finally:
        signal.signal(signal.SIGTERM, handler)
        logs.LOGGER.handlers[:] = handlers
        logs.LOGGER.propagate = True

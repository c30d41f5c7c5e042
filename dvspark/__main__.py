"""Where `dvspark`, `python -m dvspark` and jobs/*.py start: signals are answered before anything large is imported."""

from __future__ import annotations

# What `signal` itself imports takes longer than the rest of a start.
import _signal  # type: ignore[import-not-found]
import os

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # a process that nobody else uses
    _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))

import sys
from collections.abc import Sequence

from dvspark import logs
from dvspark.host.ending import answered
from dvspark.host.printing import open_standard_streams


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line in a process of its own and return its exit code."""
    open_standard_streams()
    logs.set_up_logs()

    def command() -> int:
        from dvspark.cli.front import command  # noqa: PLC0415 - signals have an answer while it loads

        return command(words)

    return answered(command, last=True)


if __name__ == "__main__":
    sys.exit(main())

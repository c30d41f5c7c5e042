"""The command line: `dvspark COMMAND`. The same arguments follow `spark-submit jobs/*.py`."""

from __future__ import annotations

from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from dvspark.cli import commands  # noqa: PLC0415 - takes a second, in which signals have an answer

    return commands.main(words)

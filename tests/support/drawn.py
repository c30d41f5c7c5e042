"""Which tests run where time is short: `pytest --one-in N` leaves out cases of tests that have many, and long tests.

Every test runs with its first case. Of its other cases one in N is drawn by the commit; so is one in N of files with
tests marked `long`. A commit has the same tests everywhere, and another one has others.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

OPTION = "--one-in"
MARK = "long"


class Test(Protocol):
    """What is asked of a test: pytest's `Item` has it."""

    nodeid: str

    def get_closest_marker(self, name: str) -> object | None: ...


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out, or "" where there is none."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # no git
        return ""


def are_drawn(tests: Sequence[Test], one_in: int, commit: str) -> list[bool]:
    """Return of each test whether it runs."""
    seen, runs = set[str](), []
    for test in tests:
        function = test.nodeid.partition("[")[0]
        is_first = function not in seen
        seen.add(function)
        if test.get_closest_marker(MARK) is None:
            runs.append(is_first or _is_drawn(test.nodeid, one_in, commit))
        else:  # tests of a file share what takes long
            runs.append(_is_drawn(test.nodeid.partition("::")[0], one_in, commit))
    return runs


def _is_drawn(name: str, one_in: int, commit: str) -> bool:
    return int(hashlib.sha256(f"{commit} {name}".encode()).hexdigest(), 16) % one_in == 0

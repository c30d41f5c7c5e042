"""Identity: a run is its inputs, its options and the code that ran; the fingerprint of these tells two runs apart."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dvspark.errors import Problem, written

# A run id becomes a folder name and a Hive partition value.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

# Ids that a reader takes for something other than text, so that two ids become one. Spark's types of partition values
# make one of 1, 01 and 1.0, or 2e3 and 2000d; DuckDB also reads 1_0, 0x1 and 0b1, a legacy parser 2026-1-2 as a date.
# The pattern is wider than each of these readers, so their versions do not matter.
NUMBER = re.compile(r"(0b[01_]*|0x[0-9a-f._]*(p-?\d*)?|\d[\d_]*(\.[\d_]*)?(e-?\d+)?)[dfl]?", re.IGNORECASE)
DATE = re.compile(r"\d+-\d{1,2}(-\d{1,2}(T.*)?)?")
NO_TEXT = ("nan", "inf", "infinity", "null", "none", "true", "false", "epoch", "now", "today", "tomorrow", "yesterday")
# Names by which people and tools mean the newest run; the second is the file that has its id.
NO_NAME = ("latest", "latest.json")
# Names of devices on Windows.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def fingerprint(facts: dict[str, Any]) -> str:
    """Return the sha256 of everything that decides a run's values, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_id_problems(run_id: str | None) -> list[Problem]:
    """Return what is wrong with the run id given for a new run; None stands for left out."""
    if run_id is None:
        return []
    if problems := published_id_problems(run_id):
        return problems
    taken_for = _taken_for(run_id)
    if taken_for is None:
        return []
    expected, got = "a name that every reader takes for text", f"{run_id!r}, {taken_for}"
    return [Problem("run_id", expected, got, f"put a word before it, such as 'run-{run_id.rstrip('.')}'")]


def published_id_problems(run_id: str, where: str = "run_id") -> list[Problem]:
    """Return why a run id cannot name a folder. Ids of published runs may be ones that are refused for new runs."""
    if RUN_ID.fullmatch(run_id):
        return []
    expected = "1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
    return [Problem(where, expected, written(run_id), "it names folders; leave it out to have one derived")]


def _taken_for(run_id: str) -> str | None:
    """Return what a reader or a store would take a run id for, or None if for nothing else."""
    if NUMBER.fullmatch(run_id):
        return "a number for Spark or DuckDB, which read 1 and 01 as one run"
    if DATE.fullmatch(run_id):
        return "a date for Spark or DuckDB, which read two ways to write a day as one run"
    if run_id.lower() in NO_TEXT:
        return "for some readers no text but a value"
    if run_id.lower() in NO_NAME:
        return "which people take for the newest run"
    if run_id.endswith("."):
        return "whose last '.' some stores leave out"
    return "a device on Windows" if DEVICE.fullmatch(run_id) else None


def derived_run_id(method: str, full_fingerprint: str) -> str:
    """Return the run id of a run without a given one: the method and 12 digits of the fingerprint."""
    return f"{method}-{full_fingerprint[:12]}"

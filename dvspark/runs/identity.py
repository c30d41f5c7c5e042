"""Identity: a run is its inputs, its options and the code that ran; the fingerprint tells two apart."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dvspark.errors import Problem

# A run id becomes a folder name and a Hive partition value.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def fingerprint(facts: dict[str, Any]) -> str:
    """Return the sha256 of what decides a run's values, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_id_problems(run_id: str | None, where: str = "run_id") -> list[Problem]:
    """Return what is wrong with a run id that was given."""
    if run_id is None or RUN_ID.fullmatch(run_id):
        return []
    expected = "1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
    return [Problem(where, expected, repr(run_id), "it names folders; leave it out to have one derived")]


def derived_run_id(method: str, full_fingerprint: str) -> str:
    """Return the run id of a run that was given none: the method and 12 digits of the fingerprint."""
    return f"{method}-{full_fingerprint[:12]}"

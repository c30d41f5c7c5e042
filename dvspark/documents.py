"""Documents: JSON that a run writes and reads back, which something may have damaged in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sealed(told: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Return a JSON object as a file's content, with its sha256: a digit that is lost makes another number."""
    return json.dumps({**told, "sha256": _digest(json.dumps(told))}, indent=indent).encode()


def unsealed(content: bytes) -> dict[str, Any] | None:
    """Return what was sealed, or None if it is not that any more."""
    told = json_object(content)
    if told is None or told.pop("sha256", None) != _digest(json.dumps(told)):
        return None
    return told


def json_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a file holds, or None where it is damaged or holds something else."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, too deep
        return None
    return told if isinstance(told, dict) else None


def missing_in(told: Mapping[str, Any], needed: Mapping[str, type]) -> list[str]:
    """Return which of the needed places, such as "inputs.train", hold nothing of their type."""
    return [place for place, kind in needed.items() if not isinstance(_at(told, place), kind)]


def _at(told: Any, place: str) -> Any:
    for part in place.split("."):
        told = told.get(part) if isinstance(told, dict) else None
    return told


def _digest(text: str) -> str:
    # Read back first: keys that were integers are texts then, which sort otherwise.
    return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode()).hexdigest()

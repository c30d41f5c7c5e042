"""Layers: settings of which one excludes another; the later source's stays, as file < environment < command line."""

from __future__ import annotations

from typing import Any

# Where a table is, and which state of it, which is another table's where the place is another.
PLACE = ("path", "table")
STATE = ("version", "snapshot", "timestamp")
TABLES = ("train", "validation")


def without_excluded(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a source without those that settings of a later one take the place of.

    A path or table takes the place of path, table and state; a version, snapshot or timestamp that of the others; a
    validation table that of self_validation, and the reverse. Of one source that gives both nothing is taken away.
    """
    kept = dict(below)
    for side in TABLES:
        if isinstance(kept.get(side), dict):
            gone = _excluded(_section(above, side))
            kept[side] = {name: value for name, value in kept[side].items() if name not in gone}
    if _gives(_section(above, "validation"), PLACE):
        kept.pop("self_validation", None)
    if _is_true(above.get("self_validation")):
        kept.pop("validation", None)
    return kept


def _excluded(given: dict[str, Any]) -> tuple[str, ...]:
    if _gives(given, PLACE):
        return PLACE + STATE
    return STATE if _gives(given, STATE) else ()


def _gives(section: dict[str, Any], names: tuple[str, ...]) -> bool:
    return any(section.get(name) is not None for name in names)


def _section(settings: dict[str, Any], side: str) -> dict[str, Any]:
    section = settings.get(side)
    return section if isinstance(section, dict) else {}


def _is_true(value: Any) -> bool:
    """Return whether pydantic takes a value, maybe a word of the command line, for true."""
    return str(value).lower() in ("true", "1", "yes", "y", "on", "t")

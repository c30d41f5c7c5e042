"""Precedence: settings that exclude each other. Those of the later source stay: file < environment < command line."""

from __future__ import annotations

from typing import Any

from dvspark.config.goals import SET_BY_GOALS

# Settings that say where a table is, and which state of it. A state belongs to its place.
PLACE = ("path", "table")
STATE = ("version", "snapshot", "timestamp")
TABLES = ("train", "owned", "validation")


def without_excluded(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return the settings ``below`` without those that a setting of the later source ``above`` replaces.

    - A path or table above replaces path, table and state below.
    - A version, snapshot or timestamp above replaces the other two below.
    - A validation table above replaces self_validation below, and the reverse.
    - A goal above replaces below the settings that it stands for; one of these above replaces a goal below.
    Settings that exclude each other within one source all stay, to be refused later.
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
    if above.get("goal") is not None:
        kept = {name: value for name, value in kept.items() if name not in SET_BY_GOALS}
    if any(name in above for name in SET_BY_GOALS):
        kept.pop("goal", None)
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
    """Return whether pydantic would read a value, maybe a word of the command line, as true."""
    return str(value).lower() in ("true", "1", "yes", "y", "on", "t")

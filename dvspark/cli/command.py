"""What a command is, as it is declared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A word of a command that is no setting: ``--name``, then its ``values`` as help writes them, if it takes any."""

    name: str
    meaning: str
    values: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Command:
    """A command. ``place``: module and function that do its work. ``about``: more than the one line of ``summary``.

    ``takes_settings``: settings may follow, and before them a file. ``operands``: what other words stand for.
    """

    name: str
    summary: str
    place: tuple[str, str]
    usage: tuple[str, ...]
    about: str = ""
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    takes_settings: bool = False
    operands: tuple[str, ...] = ()

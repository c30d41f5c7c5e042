"""Words of commands that take no settings: operands, options and the numbers they give; names of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvspark.cli.declared import Command, Option
from dvspark.errors import ConfigError, Problem, close_matches, written


def own_words(command: Command, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the operands, and the options by name: given values, "" for options that take none.

    Raises: ConfigError for words that the command does not declare, and for an option with two values.
    """
    operands, options, left = list[str](), dict[str, str](), list(words)
    while left:
        name, has_value, value = left.pop(0).partition("=")
        if not name.startswith("-"):
            operands.append(name + has_value + value)
            continue
        option = _known(command, name)
        if not option.values:
            if has_value:
                raise ConfigError(Problem(name, "no value", written(value), _hint(command)))
        elif not has_value:
            if not left:
                raise ConfigError(Problem(name, f"{name} {option.values}", "no value", _hint(command)))
            value = left.pop(0)
        if option.values and name in options:
            got = f"{written(options[name])} and {written(value)}"
            raise ConfigError(Problem(name, "one value", got, "leave one of them out"))
        options[name] = value
    if len(operands) > len(command.operands):
        expected = " ".join(["dvspark", command.name, *(f"[{one}]" for one in command.operands)])
        raise ConfigError(Problem(f"dvspark {command.name}", expected, " ".join(operands), _hint(command)))
    return operands, options


def _known(command: Command, name: str) -> Option:
    for option in command.options:
        if option.name == name:
            return option
    known = [option.name for option in command.options]
    expected = f"an option of dvspark {command.name}"
    raise ConfigError(Problem(name, expected, "none", close_matches(name, known) if known else _hint(command)))


def _hint(command: Command) -> str:
    return f"see `dvspark {command.name} --help`"


def whole_of(name: str, options: Mapping[str, str], least: int = 1) -> int:
    """Return the whole number that an option gives. Raises: ConfigError for what is none, or below ``least``."""
    try:
        found = int(options[name])
    except ValueError:
        found = least - 1
    if found < least:
        raise ConfigError(Problem(name, f"a whole number from {least}", written(options[name])))
    return found


def number_of(name: str, text: str) -> float:
    """Return the number that an option has. Raises: ConfigError for other texts, and numbers that are not finite."""
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(Problem(name, "a number", written(text), "write digits")) from None
    if not math.isfinite(number):
        raise ConfigError(Problem(name, "a finite number", written(text), "write digits, of less than 1e308"))
    return number


def place_of(run: str) -> tuple[str, str | None]:
    """Return the output folder and the id of a run as a person names it; None for the run published last.

    A run is named by its folder, from wherever the person stands, or by the record in it.
    """
    from dvspark.tables.storage import open_storage  # noqa: PLC0415 - the list of commands comes without a wait

    named = run.rstrip("/").removesuffix("/run.json") or run
    if open_storage(named).folders("runs"):  # an output, though it may itself lie in a folder that is called runs
        return named, None
    whole = named
    if "/runs/" not in named and Path(named, "run.json").is_file():
        whole = str(Path(named).resolve())
    output, found, run_id = whole.rpartition("/runs/")
    return (output, run_id) if found and run_id and "/" not in run_id else (named, None)

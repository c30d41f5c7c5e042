"""Help: what `dvspark --help` and `dvspark COMMAND --help` print, from declarations of commands and settings."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

from dvspark.cli.declared import COMMANDS, Command, Option

# What begins left of this column ends left of it, or has a line of its own.
COLUMN = 26
# Lines are as long as the terminal is wide, within these limits.
NARROWEST, WIDEST = 60, 120

OVERVIEW = """\
examples:
  dvspark demo
  dvspark value --train train.parquet --validation validation.parquet --output results --metric cosine --k 10
  dvspark init value.yaml
  dvspark plan value.yaml --host_memory 64g

settings: `dvspark value --help` has all; file < DVSPARK_* environment < command line
exit codes: 0 ok, 1 unexpected, 2 usage or configuration, 3 input data, 4 output conflict, 5 compute,
            6 audit failed, 129, 130 and 143 stopped by a signal
"""


def overview() -> str:
    """Return the help of the command line: all commands, a line each."""
    commands = entries(((command.name, command.summary) for command in COMMANDS.values()), column=14)
    head = ["usage: dvspark COMMAND ...", "       dvspark COMMAND --help", "       dvspark --version", ""]
    return "\n".join([*head, "commands:", *commands, "", OVERVIEW])


def command_help(command: Command) -> str:
    """Return the help of a command: usage, options, and in groups all settings that it takes."""
    first, *more = command.usage
    lines = [f"usage: {first}", *(f"       {usage}" for usage in more), ""]
    lines += wrapped(f"{command.summary[0].upper()}{command.summary[1:]}. {command.about}".strip())
    if command.examples:
        lines += ["", "examples:", *(f"  {example}" for example in command.examples)]
    if command.options:
        lines += ["", "options:", *entries(map(_entry, command.options))]
    if command.takes_settings:
        from dvspark.cli.setting_groups import PRECEDENCE, setting_groups  # noqa: PLC0415 - imports all methods

        lines += ["", *wrapped(PRECEDENCE)]
        for title, rows in setting_groups(command).items():
            lines += ["", f"{title}:", *entries(rows)]
    return "\n".join(lines) + "\n"


def entries(rows: Iterable[tuple[str, str]], column: int = COLUMN) -> list[str]:
    """Return lines in two columns: what may be written, and from ``column`` on what it means."""
    lines = list[str]()
    for written, meaning in rows:
        text = wrapped(meaning, " " * column)
        if len(written) + 3 < column:
            lines.append(f"  {written}".ljust(column) + text[0].lstrip())
            lines += text[1:]
        else:
            lines += [f"  {written}", *text]
    return lines


def wrapped(text: str, indent: str = "") -> list[str]:
    """Return the text in lines as long as the terminal is wide."""
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    wrapper = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=indent)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.wrap(text) or [indent]


def _entry(option: Option) -> tuple[str, str]:
    default = "" if option.default is None else f" [default: {option.default}]"
    return f"{option.name} {option.values}".strip(), option.meaning + default

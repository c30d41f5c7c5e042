"""The front of the command line: which command is asked for, its help, and the exit code of every outcome.

A command's own module is imported when the command is asked for: the list of commands comes without a wait.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from dvspark import logs
from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import command_help, overview
from dvspark.errors import ConfigError, DvsparkError, Problem, close_matches
from dvspark.host.ending import answered, is_ending
from dvspark.host.printing import tell
from dvspark.version import __version__

HELP = ("-h", "--help")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. An expected error never shows a stack trace."""
    return answered(lambda: command(words))


def command(words: Sequence[str] | None = None) -> int:
    """Do the work of `main`, after signal handlers are installed."""
    words = list(sys.argv[1:] if words is None else words)
    logs.set_up_logs(logs.format_of_environment() or "auto")
    try:
        return _dispatch(words)
    except DvsparkError as error:
        if not is_ending():
            logs.log_event(str(error), level=40, error=type(error).__name__, exit_code=error.exit_code)
        return error.exit_code
    except KeyboardInterrupt:
        logs.log_event("stopped by the keyboard", level=40, exit_code=130)
        return 130
    except Exception:
        if not is_ending():
            logs.log_event(f"unexpected error\n{traceback.format_exc()}", level=40, exit_code=1)
        return 1


def _dispatch(words: list[str]) -> int:
    if not words:
        sys.stderr.write(overview())
        return 2
    name, *others = words
    if name == "--version":
        tell(f"dvspark {__version__}\n")
        return 0
    if name in (*HELP, "help"):
        known = COMMANDS.get(others[0]) if others else None
        tell(command_help(known) if known else overview())
        return 0
    if name not in COMMANDS:
        raise ConfigError(_unknown(name))
    if {*HELP} & set(others):
        tell(command_help(COMMANDS[name]))
        return 0
    module, function = COMMANDS[name].place
    exit_code: int = getattr(import_module(module), function)(others)
    return exit_code


def _unknown(name: str) -> Problem:
    """Return the problem of a first word that is no command."""
    hint = "settings follow a command: dvspark value --train ..." if name.startswith("-") else None
    got = "an option" if hint else repr(name)
    return Problem("command", f"one of {', '.join(COMMANDS)}", got, hint or close_matches(name, [*COMMANDS]))

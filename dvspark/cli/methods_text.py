"""`dvspark methods`: all methods, a line each; of one, what its declaration says of it."""

from __future__ import annotations

from collections.abc import Sequence

from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import entries
from dvspark.cli.setting_groups import meaning_alone, option
from dvspark.cli.words import own_words
from dvspark.config.declared import declared_settings
from dvspark.errors import ConfigError
from dvspark.host.printing import tell
from dvspark.methods import METHODS

LIST_END = "`dvspark methods METHOD` says when to take a method, its parameters, its cost and its source"
METHOD_END = "`dvspark value --help` has all settings"
PAGE = "https://github.com/dvspark/dvspark/blob/main/docs/methods/{name}.md"
DISTANCES = "O(n d) for the distances of n rows of d features; then: "

# What a method asks for, as the settings call it.
NEEDED = {"owners": "a column of owners (train.owner)", "weights": "a column of weights (train.weight)"}
NEEDED |= {"owned": "a table of rows that are owned (owned)", "losses": "a column of losses (train.loss)"}


def run(words: Sequence[str]) -> int:
    """Print the list of methods, or what is known of one. Raises: ConfigError for a method that there is not."""
    names, _ = own_words(COMMANDS["methods"], words)
    if names and (problems := choice_problems("method", names[0], sorted(METHODS))):
        raise ConfigError(problems)
    tell(method_text(names[0]) if names else list_text())
    return 0


def list_text() -> str:
    """Return all methods, each with what a row's value is."""
    rows = ((name, method.gives) for name, method in METHODS.items())
    parts = [
        "what the value of a row is, by method:",
        *entries(rows),
        "",
        LIST_END,
        "",
    ]
    return "\n".join(parts)


def method_text(name: str) -> str:
    """Return what a method is for, its parameters, cost, reference and page."""
    method = METHODS[name]
    columns = ", ".join(NEEDED[asked] for asked in method.asks({}))
    facts = [
        ("value of a row", method.gives),
        ("when to take it", method.purpose),
        *([("needs by default", columns)] if columns else []),
        ("cost of a point" if method.adds_up else "cost", (DISTANCES if method.compares else "") + method.cost),
        ("reference", method.reference),
        ("page", PAGE.format(name=name)),
    ]
    own = [setting for setting in declared_settings() if name in setting.methods]
    parameters = entries((option(setting), meaning_alone(setting)) for setting in own) or ["  none"]
    return "\n".join([name, *entries(facts), "", "parameters:", *parameters, "", METHOD_END, ""])

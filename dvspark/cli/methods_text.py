"""`dvspark methods`: all methods, a line each; of one, what its declaration says of it."""

from __future__ import annotations

from collections.abc import Sequence

from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import entries
from dvspark.cli.setting_groups import meaning_alone, option, shown_default
from dvspark.cli.words import own_words
from dvspark.config.declared import declared_settings
from dvspark.errors import ConfigError
from dvspark.host.printing import tell
from dvspark.methods import GAMES, METHODS
from dvspark.methods.parameters import Parameter

LIST_END = "`dvspark methods METHOD` says when to take a method, its parameters, its cost and its source"
METHOD_END = "`dvspark value --help` has all settings"
GAMES_HEAD = "of a player, by any utility, from Python (`dvspark.value_game`):"
GAME_END = "from Python alone: dvspark.value_game(utility, n_players, method=…, evaluations=…, seed=…, …)"
PAGE = "https://github.com/dvspark/dvspark/blob/main/docs/methods/{name}.md"
DISTANCES = "O(n d) for the distances of n rows of d features; then: "

# What a method asks for, as the settings call it.
NEEDED = {"owners": "a column of owners (train.owner)", "weights": "a column of weights (train.weight)"}
NEEDED |= {"owned": "a table of rows that are owned (owned)"}


def run(words: Sequence[str]) -> int:
    """Print the list of methods, or what is known of one. Raises: ConfigError for a method that there is not."""
    names, _ = own_words(COMMANDS["methods"], words)
    if names and (problems := choice_problems("method", names[0], sorted([*METHODS, *GAMES]))):
        raise ConfigError(problems)
    told = game_text if names and names[0] in GAMES else method_text
    tell(told(names[0]) if names else list_text())
    return 0


def list_text() -> str:
    """Return all methods, each with what a row's value is."""
    rows = ((name, method.gives) for name, method in METHODS.items())
    of_games = ((name, method.gives) for name, method in GAMES.items())
    parts = [
        "what the value of a row is, by method:",
        *entries(rows),
        "",
        GAMES_HEAD,
        *entries(of_games),
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
        ("cost of a point", (DISTANCES if method.compares else "") + method.cost),
        ("reference", method.reference),
        ("page", PAGE.format(name=name)),
    ]
    own = [setting for setting in declared_settings() if name in setting.methods]
    parameters = entries((option(setting), meaning_alone(setting)) for setting in own) or ["  none"]
    return "\n".join([name, *entries(facts), "", "parameters:", *parameters, "", METHOD_END, ""])


def game_text(name: str) -> str:
    """Return the same of a method for any utility."""
    method = GAMES[name]
    facts = [
        ("value of a player", method.gives),
        ("when to take it", method.purpose),
        ("cost", method.cost),
        ("reference", method.reference),
        ("page", PAGE.format(name=name)),
    ]
    parameters = entries((f"{one.name}={one.form}", _meaning(one)) for one in method.parameters) or ["  none"]
    return "\n".join([name, *entries(facts), "", "parameters:", *parameters, "", GAME_END, ""])


def _meaning(parameter: Parameter) -> str:
    """Return what a parameter means, and its default."""
    default = "" if parameter.default is None else f" [default: {shown_default(parameter.default)}]"
    return parameter.meaning + default

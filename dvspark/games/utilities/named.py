"""A utility by name, as settings write it: the name of a factory, and in brackets what it is given besides tables.

knn                                       one that is ready
knn(utility="wang2023")                   the same with a parameter
my_games:accuracy(rounds=3)               a function of `GameTables`, importable wherever tasks run
sklearn.svm.SVC(C=10, score="f1_macro")   `model` with this estimator; its parameters, and those of the factory
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dvspark.errors import ConfigError, DvsparkError, Problem, close_matches, written
from dvspark.games.utilities.game_tables import GameTables
from dvspark.games.utilities.knn import knn
from dvspark.games.utilities.model import model
from dvspark.games.utilities.threshold_knn import threshold_knn
from dvspark.games.utility import Utility

Factory = Callable[..., Utility]

READY: dict[str, Factory] = {"knn": knn, "threshold_knn": threshold_knn, "model": model}
# Those that compare rows by a metric, and are given what the job's settings say of it.
NEIGHBORS = ("knn", "threshold_knn")

SPEC = re.compile(r"\s*(?P<name>\w+(?:\.\w+)*(?::\w+)?)\s*(?:\((?P<arguments>.*)\))?\s*", re.DOTALL)
FORM = "knn, threshold_knn, model, module:function, or a class of scikit-learn, with (name=value, …) or without"


def read_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of a utility as settings write it. Raises: ConfigError if it is none."""
    found = SPEC.fullmatch(text)
    name, arguments = ("", None) if found is None else (found["name"], found["arguments"])
    if not name or not (name in READY or ":" in name or "." in name):
        hint = close_matches(text.partition("(")[0], [*READY])
        raise ConfigError(Problem("parameter 'utility'", FORM, written(text), hint))
    try:
        call = ast.parse(f"f({arguments or ''})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("something else than name=value")
        given = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg is not None}
        if len(given) < len(call.keywords):
            raise ValueError("something else than name=value")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        hint = 'numbers, texts in quotes, true as True, lists: sklearn.svm.SVC(C=10, kernel="rbf")'
        got = f"{text!r}: {error}"
        raise ConfigError(Problem("parameter 'utility'", "name=value, … in the brackets", got, hint)) from error
    return name, given


def compares_rows(utility: Any) -> bool:
    """Return whether a utility, as settings write it, compares rows by the job's metric."""
    return isinstance(utility, str) and utility.partition("(")[0].strip() in NEIGHBORS


def named_utility(utility: str | Factory, tables: GameTables, settings: Mapping[str, Any]) -> Utility:
    """Return the utility that a factory makes of tables; ``settings`` are a job's, for factories of neighbors.

    What is in the brackets goes before the settings.
    Raises: ConfigError if there is no such factory, or it takes no such arguments.
    """
    if not isinstance(utility, str):
        return _made(utility, tables, {}, _name(utility))
    name, given = read_spec(utility)
    if name in READY:
        known = inspect.signature(READY[name]).parameters if name in NEIGHBORS else {}
        of_job = {one: value for one, value in settings.items() if one in known and value is not None}
        return _made(READY[name], tables, {**of_job, **given}, utility)
    if ":" in name:
        return _made(_imported(name), tables, given, utility)
    return _made(partial(model, estimator=name), tables, given, utility)


def name_of(utility: str | Factory) -> str:
    """Return a utility as the run record has it: as settings write it, or where its factory is."""
    return utility if isinstance(utility, str) else _name(utility)


def _name(factory: Factory) -> str:
    return f"{getattr(factory, '__module__', '?')}:{getattr(factory, '__qualname__', type(factory).__name__)}"


def _imported(name: str) -> Factory:
    module, _, function = name.partition(":")
    try:
        found: Factory = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "name a function of GameTables that returns the utility, importable wherever tasks run (PYTHONPATH)"
        raise ConfigError(Problem("parameter 'utility'", "module:function", f"{name!r}: {error}", hint)) from error
    return found


def _made(factory: Factory, tables: GameTables, given: Mapping[str, Any], name: str) -> Utility:
    try:
        utility: Any = factory(tables, **given)
    except TypeError as error:
        hint = "see docs/games.md for the parameters of utilities that are ready"
        raise ConfigError(
            Problem("parameter 'utility'", "arguments that it has", f"{name!r}: {error}", hint)
        ) from error
    except DvsparkError:
        raise
    except Exception as error:
        got = f"{name!r}: {type(error).__name__}: {error}"
        hint = "call it with the tables in a session of your own: it fails there, too"
        raise ConfigError(Problem("parameter 'utility'", "a function that returns the utility", got, hint)) from error
    if not callable(utility):
        got = f"{name!r} returned {type(utility).__name__}"
        raise ConfigError(
            Problem("parameter 'utility'", "a function that returns the utility", got, "return a function")
        )
    return utility

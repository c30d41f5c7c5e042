"""A model of scikit-learn as a utility: trained on the rows of a coalition, scored on the validation rows."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from dvspark.errors import ConfigError, Problem, written
from dvspark.extras import import_extra
from dvspark.games.utilities.game_tables import GameTables
from dvspark.schemas import Float64s, Int64s

EXTRA = "models"


def model(
    tables: GameTables,
    *,
    estimator: Any = "sklearn.linear_model.LogisticRegression",
    score: str | Callable[[Any, Any, Any], float] = "accuracy",
    empty_utility: float = 0.0,
    **parameters: Any,
) -> Trained:
    """Return what a model scores on the validation rows that was trained on the rows of a coalition.

    - ``estimator``: a classifier or regressor of scikit-learn, or where to import its class from; ``parameters`` are
      its parameters.
    - ``score``: a name that `sklearn.metrics.get_scorer` knows, or a function of a model, features and labels. More is
      better.
    - ``empty_utility``: what no rows are worth.

    A classifier whose rows are of one class is not trained: the model always answers that class. An estimator that is
    trained by chance gets ``random_state`` 0, unless it has another: the same coalition has the same worth.
    Needs the extra `models`. Raises: ConfigError if it is missing, or for an estimator or score that there is not.
    """
    base = import_extra("sklearn.base", EXTRA, "utility 'model'", "scikit-learn")
    chosen = _imported(estimator) if isinstance(estimator, str) else base.clone(estimator)
    try:
        chosen = chosen(**parameters) if isinstance(chosen, type) else chosen.set_params(**parameters)
    except (TypeError, ValueError) as error:
        hint = "see its documentation in scikit-learn"
        raise ConfigError(Problem("estimator", "parameters that it has", str(error), hint)) from error
    if "random_state" in chosen.get_params() and chosen.get_params()["random_state"] is None:
        chosen.set_params(random_state=0)
    return Trained(tables, chosen, _scorer(score), float(empty_utility))


class Trained:
    """The score of a model that is trained on the rows of a coalition."""

    def __init__(self, tables: GameTables, estimator: Any, score: Callable[..., float], empty_utility: float) -> None:
        base = importlib.import_module("sklearn.base")
        self.n_players = tables.n_players
        self._tables, self._estimator, self._score, self._empty = tables, estimator, score, empty_utility
        self._clone, self._constant = base.clone, importlib.import_module("sklearn.dummy").DummyClassifier
        self._is_classifier = base.is_classifier(estimator)

    def __call__(self, players: Int64s) -> float:
        """Return what a coalition is worth. Cost: that of training and of scoring."""
        rows, tables = self._tables.rows(players), self._tables
        if not len(rows):
            return self._empty
        return float(self._score(self._trained(rows), tables.x_validation, tables.y_validation))

    def scores(self, bag: Int64s) -> Float64s:
        """Return how well the model of a bag answers each training row: 1 or 0, or minus the squared error.

        Raises: ConfigError if players are owners. Cost: that of training, and of as many answers as there are rows.
        """
        tables = self._tables
        if tables.owners is not None:
            raise ConfigError(Problem("owners", "rows as players", "owners", "leave owners out: bags are of rows"))
        answered = self._trained(bag).predict(tables.x_train)
        if self._is_classifier:
            return np.asarray(answered == tables.y_train, np.float64)
        return -np.square(np.asarray(answered, np.float64) - tables.y_train)

    def _trained(self, rows: Int64s) -> Any:
        """Return the model that is trained on some rows."""
        tables, answers = self._tables, self._tables.y_train[rows]
        one_class = self._is_classifier and bool(np.all(answers == answers[0]))
        chosen = self._constant(strategy="most_frequent") if one_class else self._clone(self._estimator)
        return chosen.fit(tables.x_train[rows], answers)


def _imported(path: str) -> Any:
    """Return the class of a path such as sklearn.svm.SVC. Raises: ConfigError if there is none."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "for instance sklearn.linear_model.LogisticRegression"
        raise ConfigError(Problem("estimator", "module.Class of a scikit-learn estimator", str(error), hint)) from error


def _scorer(score: Any) -> Callable[..., float]:
    """Return a function of a model, features and labels. Raises: ConfigError for a name that scikit-learn has not."""
    if callable(score):
        return score
    metrics = import_extra("sklearn.metrics", EXTRA, "utility 'model'", "scikit-learn")
    if score not in metrics.get_scorer_names():
        hint = "sklearn.metrics.get_scorer_names() lists them; or give a function"
        raise ConfigError(Problem("score", "a scorer of scikit-learn", written(score), hint))
    return metrics.get_scorer(score)

"""Models that rows are judged by: k nearest neighbors and logistic regression, of scikit-learn (extra `models`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dvspark.errors import Problem
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.measures import macro_recall
from dvspark.extras import import_extra

KNN, LOGISTIC = "k-nn", "logistic regression"
MODELS = (KNN, LOGISTIC)
# Steps of L-BFGS at most; scores change in the third digit beyond it, if at all.
MOST_STEPS = 300
# k of the k-NN model, which is not the k of a method.
K = 5


def require_models() -> None:
    """Raise ConfigError now, not only after the values, if scikit-learn is not installed."""
    _sklearn("linear_model")


def scores(model: str, train: LabeledRows, test: LabeledRows, *, cosine: bool = False) -> dict[str, float]:
    """Return accuracy and macro recall on ``test`` of a model fitted to ``train``; rows of one class give that class.

    ``cosine``: rows are brought to length 1 first. The logistic regression standardizes features by its training rows.
    Cost: that of scikit-learn's KNeighborsClassifier (brute force) or LogisticRegression (L-BFGS).
    Raises: ConfigError where scikit-learn is not installed.
    """
    x, z = (_unit(rows.x) if cosine else rows.x for rows in (train, test))
    if len(np.unique(train.y)) == 1:
        predicted = np.repeat(train.y[:1], len(test))
    elif model == KNN:
        classifier = _sklearn("neighbors").KNeighborsClassifier(min(K, len(train)), algorithm="brute")
        predicted = classifier.fit(x, train.y).predict(z)
    else:
        scaler = _sklearn("preprocessing").StandardScaler().fit(x)
        classifier = _sklearn("linear_model").LogisticRegression(max_iter=MOST_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of steps that are used up: see MOST_STEPS
            predicted = classifier.fit(scaler.transform(x), train.y).predict(scaler.transform(z))
    return {"accuracy": float(np.mean(predicted == test.y)), "macro recall": macro_recall(test.y, predicted)}


def model_problems(models: Sequence[str]) -> list[Problem]:
    """Return a problem for each name that is no model."""
    return [Problem("models", f"of {', '.join(MODELS)}", name) for name in models if name not in MODELS]


def _unit(x: Any) -> Any:
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)


def _sklearn(part: str) -> Any:
    return import_extra(f"sklearn.{part}", "models", "models", "the package scikit-learn", "it is not installed")

"""Strategies for small problems of every method: what `strategies` draws, and what the method asks for beside it.

Parameters, owners, weights, targets; a radius often lies exactly at a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from family import KINDS, SCORES, Case, distance_of
from hypothesis import strategies as st
from oracles import exact_distance_key
from strategies import problems

from dvspark.methods import METHODS

UTILITIES = st.sampled_from(["jia2019", "wang2023"])
SHAPES = st.sampled_from([(1, 1), (16, 1), (1, 4), (2.5, 3), (0.5, 0.25)])
QUARTERS = st.integers(-12, 12).map(lambda n: n / 4)


@st.composite
def cases(
    draw: st.DrawFn, method: str, *, self_validation: bool | None = None, kind: str | None = None, **limits: Any
) -> Case:
    """Draw a case of a method: multi-label rows or single labels, validation rows of its own or self-validation.

    ``kind``: how weights vote, where the method has them. Half of the cases have a k that leaves rows beyond it.
    """
    alone = draw(st.booleans()) if self_validation is None else self_validation
    problem = draw(
        problems(
            self_validation=alone or method == SCORES,
            multi_label=draw(st.booleans()),
            only_absent_labels=draw(st.integers(0, 9)) == 0,
            **limits,
        )
    )
    if draw(st.booleans()):
        problem = replace(problem, k=draw(st.integers(1, 3)))
    case = Case(method, problem, counted=draw(st.booleans()))
    declaration = METHODS[method]
    if declaration.averages_ties:
        case = replace(case, ties=draw(st.sampled_from(["id", "average"])))
    if declaration.players == "owners":
        case = replace(case, owners=draw(owner_columns(case.n_train)))
    return draw(parameters_of(case, kind))


def owner_columns(n_train: int) -> st.SearchStrategy[tuple[Any, ...]]:
    """Draw owners of several rows each, as integers or as words, whose order is not that of the rows."""
    return st.one_of(
        *[
            st.lists(st.sampled_from(names), min_size=n_train, max_size=n_train).map(tuple)
            for names in ([30, -4, 7], ["b", "B", "é", "10", "9"])
        ]
    )


@st.composite
def parameters_of(draw: st.DrawFn, case: Case, kind: str | None) -> Case:
    """Draw the parameters of the case's method, and the columns they go with."""
    method, k, found = case.method, case.problem.k, dict[str, Any]()
    if METHODS[method].knows("utility"):
        found["utility"] = draw(UTILITIES)
    if METHODS[method].knows("alpha"):
        found["alpha"], found["beta"] = draw(SHAPES)
    if METHODS[method].knows("radius"):
        found["radius"], key = draw(radii(case))
        case = replace(case, last_key=key)
    if method == "truncated_knn_shapley":
        k_star = k + draw(st.integers(0, 4))
        found |= {"k_star": k_star} if draw(st.booleans()) else {"epsilon": 1 / k_star}
    if method == SCORES:
        k = draw(st.integers(1, case.n_train - 1))
        case = replace(case, problem=replace(case.problem, k=k))
    if method == "knn_regression_shapley":
        found["empty_utility"] = draw(st.sampled_from(["formula", 0.0, -1.5]))
        case = draw(with_targets(case))
    if method == "weighted_knn_shapley":
        return draw(with_weights(case, kind or draw(st.sampled_from(KINDS))))
    return replace(case, parameters=found)


@st.composite
def with_targets(draw: st.DrawFn, case: Case) -> Case:
    """Draw numbers to predict in place of the labels."""

    def column(rows: Sequence[Any] | None) -> tuple[float, ...] | None:
        return None if rows is None else tuple(draw(QUARTERS) for _ in rows)

    problem = case.problem
    return replace(
        case, problem=replace(problem, y_train=column(problem.y_train), y_validation=column(problem.y_validation))
    )


@st.composite
def with_weights(draw: st.DrawFn, case: Case, kind: str) -> Case:
    """Draw weights of training rows or of pairs, zero among them, or by distance."""
    k = min(case.problem.k, 3) if kind == "normalized" else case.problem.k
    case = replace(case, problem=replace(case.problem, k=k))
    found: dict[str, Any] = {"kind": kind}
    if kind != "raw":
        found["empty_utility"] = draw(st.sampled_from([0.0, 0.25, 1.0]))
    if kind == "hard":
        found["bits"] = draw(st.integers(1, 3))
    if kind != "hard" and case.problem.metric != "inner_product" and draw(st.booleans()):
        found["weight"] = draw(st.sampled_from(["inverse_distance", "rbf"]))
        found |= {"gamma": draw(st.sampled_from([0.25, 2.0]))} if found["weight"] == "rbf" else {}
        return replace(case, parameters=found)
    one = st.one_of(st.integers(0, 3), st.integers(0, 8).map(lambda n: n / 4), st.just(0))
    of_rows = st.lists(one, min_size=case.n_train, max_size=case.n_train).map(tuple)
    weights = draw(of_rows)
    if draw(st.booleans()):
        weights = tuple(draw(of_rows) for _ in case.validation[0])
    return replace(case, parameters=found, weights=weights)


@st.composite
def radii(draw: st.DrawFn, case: Case) -> tuple[float, Fraction]:
    """Draw a radius and the key of the last row within it: exactly at a distance, between two, or beyond all."""
    metric = case.problem.metric
    points = case.validation[0]
    keys = sorted({exact_distance_key(x, z, metric) for x in case.problem.x_train for z in points})
    last = draw(st.integers(-1, len(keys) - 1))
    distances = [distance_of(key, metric) for key in keys]
    # Distances that are not whole under the cosine are rounded by whoever computes them.
    if last >= 0 and metric != "cosine" and draw(st.booleans()):
        return distances[last], keys[last]
    around = [distances[0] - 1, *distances, distances[-1] + 1]
    return (around[last + 1] + around[last + 2]) / 2, (keys[last] if last >= 0 else keys[0] - 1)

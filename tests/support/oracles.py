"""What the values are by definition, written from the papers alone; nothing here imports the package.

Two independent roads to the same numbers:

* ``exact_values`` enumerates all 2^N coalitions in rational arithmetic: distances, ties and values are
  exact, so any difference is the other side's. For at most some ten rows.
* ``reference_values`` sorts float64 distances and applies the published closed form, one validation point
  at a time. For thousands of rows.

Sources: Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms", PVLDB 12(11),
2019 (``knn_shapley``); Wang & Jia, "A Note on 'Efficient Task-Specific Data Valuation for Nearest Neighbor
Algorithms'", arXiv:2304.04258, 2023 (``soft_knn_shapley``). "Section" means the project's mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import groupby, permutations, product
from typing import Any

import numpy as np

# Integer coordinates leave no doubt about the order, so only the rounding of a few sums remains.
EXACT_ORDER_TOLERANCE = {"default": 1e-12, "float64": 1e-12}
# Float coordinates: the default precision may swap far neighbors whose distances agree to float32.
FLOAT_ORDER_TOLERANCE = {"default": 1e-8, "float64": 1e-12}

METHODS = ("knn_shapley", "soft_knn_shapley")
METRICS = ("euclidean", "cosine", "inner_product")

Game = Callable[[Sequence[int]], Fraction]


# --- shared by both roads ---------------------------------------------------------------------------------


def label_set(label: Any) -> frozenset[Any]:
    """Return the labels of one row as a set; a match is a non-empty intersection (section 0)."""
    if isinstance(label, (list, tuple, set, frozenset, np.ndarray)):
        return frozenset(label)
    return frozenset([label])


def match_flags(train_labels: Iterable[Any], validation_label: Any) -> list[bool]:
    """Return a_i = 1[y_i matches y_v] of every training row, in the given order (section 0)."""
    wanted = label_set(validation_label)
    return [not wanted.isdisjoint(label_set(label)) for label in train_labels]


def count_classes(*label_columns: Iterable[Any]) -> int:
    """Return the number of distinct labels in all columns together, the default C (section 0)."""
    return len(frozenset().union(*(label_set(label) for column in label_columns for label in column)))


def id_positions(train_ids: Sequence[Any] | None, n_train: int) -> list[int]:
    """Return each training row's position in ascending id order, the tie-break of section 0."""
    if train_ids is None:
        return list(range(n_train))
    order = sorted(range(n_train), key=lambda row: train_ids[row])
    positions = [0] * n_train
    for position, row in enumerate(order):
        positions[row] = position
    return positions


# --- exact: every coalition, in rational numbers ----------------------------------------------------------


def exact_distance_key(x: Sequence[Any], z: Sequence[Any], metric: str) -> Fraction:
    """Return a rational number that orders rows exactly as their distance to ``z`` does (section 0)."""
    a, b = [Fraction(c) for c in x], [Fraction(c) for c in z]
    dot = sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))
    if metric == "euclidean":
        return sum(((p - q) ** 2 for p, q in zip(a, b, strict=True)), Fraction(0))
    if metric == "inner_product":
        return -dot
    if metric == "cosine":
        norms = sum(p * p for p in a) * sum(q * q for q in b)
        # cos -> sign(cos) cos^2 is increasing and, unlike cos, rational.
        return -dot * abs(dot) / norms
    raise ValueError(f"unknown metric {metric!r}")


def utility(matches: Fraction, size: int, k: int, method: str, n_classes: int | None) -> Fraction:
    """Return U(S) of a coalition of ``size`` rows with ``matches`` in its k nearest (Jia 2019; WJ 2023)."""
    if method == "knn_shapley":
        return Fraction(matches) / k
    if method != "soft_knn_shapley":
        raise ValueError(f"unknown method {method!r}")
    if n_classes is None:
        raise ValueError("soft_knn_shapley needs n_classes")
    return Fraction(matches) / min(k, size) if size else Fraction(1, n_classes)


def point_game(
    keys: Sequence[Any],
    positions: Sequence[int],
    flags: Sequence[bool],
    *,
    k: int,
    method: str,
    n_classes: int | None,
    ties: str,
) -> Game:
    """Return U(S) of one validation point, or its mean over all orders of equal distances (sections 1, 2).

    The Shapley value is linear in the game, so the value of the mean game is the mean of the values. In the
    mean game the k nearest of S are whole groups of equal distance, and a uniform draw from the last one.
    """

    def game(coalition: Sequence[int]) -> Fraction:
        ranked = sorted(coalition, key=lambda row: (keys[row], positions[row]))
        if ties == "id":
            matches = Fraction(sum(flags[row] for row in ranked[:k]))
        elif ties == "average":
            matches, room = Fraction(0), k
            for _, group in groupby(ranked, key=lambda row: keys[row]):
                block = list(group)
                taken = min(room, len(block))
                matches += Fraction(taken * sum(flags[row] for row in block), len(block))
                room -= taken
        else:
            raise ValueError(f"unknown ties {ties!r}")
        return utility(matches, len(ranked), k, method, n_classes)

    return game


def shapley_values(players: Sequence[int], game: Game) -> dict[int, Fraction]:
    """Return each player's Shapley value, summed over all 2^N coalitions (Shapley 1953)."""
    n = len(players)
    worth = [game([players[j] for j in range(n) if mask >> j & 1]) for mask in range(1 << n)]
    factor = [Fraction(math.factorial(s) * math.factorial(n - s - 1), math.factorial(n)) for s in range(n)]
    values = {}
    for j, player in enumerate(players):
        marginals = [Fraction(0)] * n
        for mask in range(1 << n):
            if not mask >> j & 1:
                marginals[mask.bit_count()] += worth[mask | 1 << j] - worth[mask]
        values[player] = sum((f * m for f, m in zip(factor, marginals, strict=True)), Fraction(0))
    return values


def _point_games(
    x_train: Sequence[Sequence[Any]],
    y_train: Sequence[Any],
    x_validation: Sequence[Sequence[Any]] | None,
    y_validation: Sequence[Any] | None,
    *,
    method: str,
    k: int,
    metric: str,
    train_ids: Sequence[Any] | None,
    n_classes: int | None,
    ties: str,
    self_validation: bool,
) -> list[tuple[list[int], Game]]:
    """Return (players, game) of every validation point; a self-validating row is no player (section 13)."""
    if self_validation:
        x_validation, y_validation = x_train, y_train
    if x_validation is None or y_validation is None:
        raise ValueError("validation rows are missing")
    if n_classes is None and method == "soft_knn_shapley":
        n_classes = count_classes(y_train, y_validation)
    rows = range(len(x_train))
    positions = id_positions(train_ids, len(x_train))
    games = []
    for v, (z, y) in enumerate(zip(x_validation, y_validation, strict=True)):
        keys = [exact_distance_key(x, z, metric) for x in x_train]
        flags = match_flags(y_train, y)
        game = point_game(keys, positions, flags, k=k, method=method, n_classes=n_classes, ties=ties)
        games.append(([row for row in rows if not (self_validation and row == v)], game))
    return games


def exact_point_values(
    x_train: Sequence[Sequence[Any]],
    y_train: Sequence[Any],
    x_validation: Sequence[Sequence[Any]] | None = None,
    y_validation: Sequence[Any] | None = None,
    *,
    method: str,
    k: int,
    metric: str = "euclidean",
    train_ids: Sequence[Any] | None = None,
    n_classes: int | None = None,
    ties: str = "id",
    self_validation: bool = False,
) -> list[list[Fraction]]:
    """Return the (V, N) values by enumeration of all coalitions (sections 1, 2; Jia 2019; WJ 2023)."""
    games = _point_games(
        x_train,
        y_train,
        x_validation,
        y_validation,
        method=method,
        k=k,
        metric=metric,
        train_ids=train_ids,
        n_classes=n_classes,
        ties=ties,
        self_validation=self_validation,
    )
    table = []
    for players, game in games:
        values = shapley_values(players, game)
        table.append([values.get(row, Fraction(0)) for row in range(len(x_train))])
    return table


def exact_values(*args: Any, aggregate: str = "mean", **options: Any) -> list[Fraction]:
    """Return the mean or the sum over validation points of ``exact_point_values`` (section 12.1)."""
    table = exact_point_values(*args, **options)
    return [sum(column, Fraction(0)) / _divisor(len(table), aggregate) for column in zip(*table, strict=True)]


def exact_efficiency_total(*args: Any, aggregate: str = "mean", **options: Any) -> Fraction:
    """Return the mean or sum over v of U(N) - U(empty), which the values must add up to (section 0)."""
    defaults = {"metric": "euclidean", "train_ids": None, "n_classes": None, "ties": "id"}
    padded = [*args, *[None] * (4 - len(args))]
    games = _point_games(*padded, **{**defaults, "self_validation": False, **options})
    total = sum((game(players) - game([]) for players, game in games), Fraction(0))
    return total / _divisor(len(games), aggregate)


def exact_tie_order_average(
    keys: Sequence[Any], flags: Sequence[bool], *, k: int, method: str, n_classes: int | None = None
) -> list[Fraction]:
    """Return one point's values, averaged over every order of every group of equal keys (section 1, ties)."""
    rows = sorted(range(len(keys)), key=lambda row: keys[row])
    blocks = [list(group) for _, group in groupby(rows, key=lambda row: keys[row])]
    totals, n_orders = [Fraction(0)] * len(keys), 0
    for choice in product(*(permutations(block) for block in blocks)):
        positions = [0] * len(keys)
        for position, row in enumerate(row for block in choice for row in block):
            positions[row] = position
        game = point_game(keys, positions, flags, k=k, method=method, n_classes=n_classes, ties="id")
        for row, value in shapley_values(range(len(keys)), game).items():
            totals[row] += value
        n_orders += 1
    return [total / n_orders for total in totals]


def _divisor(n_validation: int, aggregate: str) -> int:
    """Return what the sum over validation points is divided by (section 0)."""
    return {"mean": n_validation, "sum": 1}[aggregate]


# --- reference: the definition in float64, for thousands of rows ------------------------------------------


def float_distances(x_train: np.ndarray, z: np.ndarray, metric: str) -> np.ndarray:
    """Return float64 sort keys, row by row, so that identical rows get identical bits (section 0)."""
    if metric == "euclidean":
        # Squared: the square root keeps the order but can round two distances to one.
        return np.sum((x_train - z) ** 2, axis=1)
    if metric == "inner_product":
        return -np.sum(x_train * z, axis=1)
    if metric == "cosine":
        # 1 - cos = |u - w|^2 / 2 of the unit vectors, which keeps its digits where cos is near 1.
        u = x_train / np.sqrt(np.sum(x_train * x_train, axis=1))[:, None]
        w = z / np.sqrt(np.sum(z * z))
        return _merge_equal(np.sum((u - w) ** 2, axis=1) / 2)
    raise ValueError(f"unknown metric {metric!r}")


def _merge_equal(distance: np.ndarray) -> np.ndarray:
    """Return cosine distances with those made equal that differ by rounding alone (section 0, ties)."""
    # x and 3 x point the same way, but their unit vectors u may differ in the last bit, and an error e in u
    # moves |u - w|^2 / 2 by |u - w| e: a fixed threshold would merge rows that are all close to w.
    order = np.argsort(distance)
    ascending = distance[order]
    threshold = 16 * np.finfo(np.float64).eps * np.sqrt(ascending[1:])
    begins = np.concatenate([[True], np.diff(ascending) > threshold])
    merged = np.empty_like(distance)
    merged[order] = ascending[begins][np.cumsum(begins) - 1]
    return merged


def ranked_values_2019(a: np.ndarray, k: int) -> np.ndarray:
    """Return phi_i = a_i/max(K,i) - sum_{j>max(i,K)} a_j/(j(j-1)), rank by rank (section 1, Jia 2019)."""
    n = len(a)
    rank = np.arange(1, n + 1, dtype=np.float64)
    beyond = rank > k
    tail = np.zeros(n)
    tail[beyond] = a[beyond] / (rank[beyond] * (rank[beyond] - 1))
    after = np.concatenate([np.cumsum(tail[::-1])[::-1][1:], [0.0]])
    return a / np.maximum(k, rank) - after


def ranked_values_2019_tied(a: np.ndarray, distance: np.ndarray, k: int) -> np.ndarray:
    """Return the mean of the 2019 values over all orders of equal distances (section 1, ties)."""
    n = len(a)
    values, after, end = np.zeros(n), 0.0, n
    while end:
        start = int(np.searchsorted(distance, distance[end - 1], side="left"))
        block, size = a[start:end], end - start
        matches = float(block.sum())
        rank = np.arange(start + 1, end + 1, dtype=np.float64)
        gain = 1 / np.maximum(k, rank)
        tail = gain - gain[-1]
        others = max(size - 1, 1)
        of_match = np.mean(gain - (matches - 1) / others * tail)
        of_non_match = np.mean(-matches / others * tail)
        values[start:end] = np.where(block > 0, of_match, of_non_match) - after
        steps = rank[rank > k]
        after += matches / size * float(np.sum(1 / (steps * (steps - 1))))
        end = start
    return values


def ranked_values(
    a: np.ndarray, distance: np.ndarray, *, k: int, method: str, n_classes: int | None, ties: str
) -> np.ndarray:
    """Return one point's values in rank order by the closed forms (section 1; section 2 for WJ 2023)."""
    n = len(a)
    if n == 0:
        return np.zeros(0)
    soft = method == "soft_knn_shapley"
    nearest = min(k, n) if soft else k
    tied = ties == "average"
    values = ranked_values_2019_tied(a, distance, nearest) if tied else ranked_values_2019(a, nearest)
    if soft:
        assert n_classes is not None
        harmonic = sum(1 / j for j in range(1, nearest + 1))
        gamma = (harmonic - 1) / (n - 1) if n > 1 else 0.0
        values = values + gamma * (a - a.sum() / n) - 1 / (n_classes * n)
    return values


def reference_point_values(
    x_train: Any,
    y_train: Sequence[Any],
    x_validation: Any = None,
    y_validation: Sequence[Any] | None = None,
    *,
    method: str,
    k: int,
    metric: str = "euclidean",
    train_ids: Sequence[Any] | None = None,
    n_classes: int | None = None,
    ties: str = "id",
    self_validation: bool = False,
) -> np.ndarray:
    """Return the (V, N) float64 values by sorting and the closed forms (sections 1, 2)."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}")
    x = np.asarray(x_train, dtype=np.float64)
    if self_validation:
        x_validation, y_validation = x_train, y_train
    assert y_validation is not None
    points = np.asarray(x_validation, dtype=np.float64)
    if n_classes is None:
        n_classes = count_classes(y_train, y_validation)
    train_sets = [label_set(label) for label in y_train]
    positions = np.array(id_positions(train_ids, len(x)))
    table = np.zeros((len(points), len(x)))
    for v, z in enumerate(points):
        distance = float_distances(x, z, metric)
        order = np.lexsort((positions, distance))
        if self_validation:
            order = order[order != v]
        wanted = label_set(y_validation[v])
        a = np.array([not wanted.isdisjoint(labels) for labels in train_sets], dtype=np.float64)
        table[v, order] = ranked_values(a[order], distance[order], k=k, method=method, n_classes=n_classes, ties=ties)
    return table


def reference_values(*args: Any, aggregate: str = "mean", **options: Any) -> np.ndarray:
    """Return the mean or the sum over validation points of ``reference_point_values`` (section 12.1)."""
    table = reference_point_values(*args, **options)
    return table.sum(axis=0) / _divisor(len(table), aggregate)


def standard_errors(point_values: Sequence[Sequence[Any]] | np.ndarray) -> np.ndarray:
    """Return s/sqrt(V), s with V - 1 in its divisor, of the mean over validation points; NaN if V is 1."""
    table = np.array([[float(value) for value in row] for row in point_values])
    n_validation = len(table)
    if n_validation < 2:
        return np.full(table.shape[1], np.nan)
    return np.std(table, axis=0, ddof=1) / math.sqrt(n_validation)

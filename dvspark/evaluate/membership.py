"""Membership: can somebody who knows a row tell from the value of its copy whether the row is in the table?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.copies import (
    SCIPY_NAMES,
    CopyValues,
    KnnCopies,
    Pool,
    PrivateThresholdCopies,
    SoftKnnCopies,
    ThresholdCopies,
)
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows, require_same_features
from dvspark.evaluate.measures import auroc, band
from dvspark.kernels.radius.radius import radius_from_neighbors
from dvspark.methods.kinds.radius import SAMPLE_NEIGHBORS
from dvspark.privacy import gaussian_sigma
from dvspark.privacy.release import CELLS_OF_ADJACENCY
from dvspark.schemas import Float64s, Int64s

QUESTION = "Can somebody who knows a row tell from the value of its copy whether the row is in the table?"
# As in the article: shadow sets, and rows asked about, half of them members.
N_SHADOWS, N_QUERIES = 32, 400
# Of more validation rows so many are drawn, as many as the article has.
N_POINTS = 200
# The smallest spread of shadow values, of the spread of all of them: values that never differ tell nothing by chance.
LEAST_SPREAD = 1e-6
ATTACKED = ("knn_shapley", "soft_knn_shapley", "threshold_knn_shapley", "dp_threshold_knn_shapley")
DELTA = 1e-5


@dataclass(frozen=True)
class _Parts:
    """Positions in the pool: the private set, rows asked about that are in it and that are not, rows for shadows."""

    private: Int64s
    members: Int64s
    others: Int64s
    shadows: Int64s


def membership(
    rows: LabeledRows,
    validation: LabeledRows,
    contenders: Sequence[Contender],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    n_shadows: int = N_SHADOWS,
    n_queries: int | None = None,
    n_private: int | None = None,
    n_points: int = N_POINTS,
) -> Evaluation:
    """Return how well a published attack tells members from others, AUROC; 0.5 is as good as guessing.

    For each seed, ``rows`` are cut at random into a private set, rows asked about that are not in it, and the rest,
    from which ``n_shadows`` shadow sets of the private set's size are drawn. The value of a copy of a row in the shadow
    sets, with the row added and without, gives two normal distributions; the score is the ratio of their likelihoods at
    the value of a copy in the private set.
    - ``membership``: by contender, AUROC with its band over seeds.
    ``n_private``: a third of the rows if left out. ``n_queries``: 400, or two fifths of the rows if fewer. Only
    `ATTACKED` methods, by euclidean or cosine distance. Of more than ``n_points`` validation rows so many are drawn.
    Cost a seed: 2 n_shadows passes over n_points × (n_private + n_queries) distances.
    Raises: ConfigError for other methods, InputError for too few rows.
    Source: Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709, appendix B, algorithm 1.
    """
    require_same_features(rows, validation=validation)
    n_private = len(rows) // 3 if n_private is None else n_private
    n_queries = min(N_QUERIES, 2 * (len(rows) // 5)) if n_queries is None else n_queries
    problems = [problem for one in contenders for problem in _problems(one)]
    if n_shadows < 2 or n_queries < 2:
        problems.append(Problem("n_shadows, n_queries", "at least 2 each", f"{n_shadows}, {n_queries}", "32 and 400"))
    if problems:
        raise ConfigError(problems)
    n_half = n_queries // 2
    if n_half > n_private or 2 * n_private + n_half > len(rows):
        expected = f"{2 * max(n_private, n_half) + n_half:,} rows or more"
        raise InputError(
            Problem("train", expected, f"{len(rows):,}", "ask about fewer rows, or make n_private smaller")
        )
    if len(validation) > n_points:
        drawn = np.random.Generator(np.random.PCG64(n_points)).choice(len(validation), n_points, replace=False)
        validation = validation.take(np.sort(drawn))
    pools = {metric: Pool.of(rows, validation, metric) for metric in {_metric(one) for one in contenders}}
    n_classes = len(np.unique(np.concatenate([rows.y, validation.y])))
    found: dict[str, list[float]] = {one.name: [] for one in contenders}
    for seed in seeds:
        draw = np.random.Generator(np.random.PCG64([seed, 3]))
        parts = _cut(len(rows), n_private, n_half, draw)
        shadows = [draw.choice(parts.shadows, n_private, replace=False) for _ in range(n_shadows)]
        for place, one in enumerate(contenders):
            noise = np.random.Generator(np.random.PCG64([seed, 4, place]))
            pool = pools[_metric(one)]
            copies = _copies(one, pool, parts, n_classes, noise)
            found[one.name].append(attack(pool, copies, parts.private, (parts.members, parts.others), shadows))
    table: list[Row] = [{"method": name, "seeds": len(scores), **_named(scores)} for name, scores in found.items()]
    settings = {"seeds": [*seeds], "n_shadows": n_shadows, "n_queries": 2 * n_half, "n_private": n_private}
    settings["methods"] = {one.name: dict(one.options) for one in contenders}
    return Evaluation(QUESTION, settings, {"membership": table})


def attack(
    pool: Pool, copies: CopyValues, private: Int64s, asked: tuple[Int64s, Int64s], shadows: Sequence[Int64s]
) -> float:
    """Return the AUROC of the likelihood ratio; ``asked``: rows that are in the private set, and rows that are not."""
    places = np.concatenate(asked)
    is_member = np.arange(len(places)) < len(asked[0])
    without = np.array([copies(pool, shadow, places, is_in=False) for shadow in shadows])
    with_row = np.array([copies(pool, shadow, places, is_in=True) for shadow in shadows])
    observed = copies(pool, private, places, is_in=False)
    least = LEAST_SPREAD * float(np.std(np.concatenate([without, with_row])))
    ratio = _log_likelihood(observed, with_row, least) - _log_likelihood(observed, without, least)
    return auroc(is_member, -ratio)


def _log_likelihood(observed: Float64s, shadow_values: Float64s, least: float) -> Float64s:
    """Return the log density of each value under the normal distribution of its shadow values, but for a constant."""
    spread = np.maximum(shadow_values.std(axis=0), least or 1.0)
    return -np.log(spread) - ((observed - shadow_values.mean(axis=0)) / spread) ** 2 / 2


def _cut(n_rows: int, n_private: int, n_half: int, draw: np.random.Generator) -> _Parts:
    order = draw.permutation(n_rows)
    private, others, shadows = np.split(order, [n_private, n_private + n_half])
    return _Parts(np.sort(private), private[:n_half], others, np.sort(shadows))


def _copies(one: Contender, pool: Pool, parts: _Parts, n_classes: int, noise: np.random.Generator) -> CopyValues:
    """Return how the contender values copies; an automatic radius comes from rows that are not private."""
    given = one.options
    if one.method == "knn_shapley":
        return KnnCopies(given.get("k", 10))
    n_classes = given.get("n_classes") or n_classes
    if one.method == "soft_knn_shapley":
        return SoftKnnCopies(given.get("k", 10), n_classes)
    radius = given.get("radius", "auto")
    if radius in (None, "auto"):
        place = min(SAMPLE_NEIGHBORS, len(parts.shadows)) - 1
        radius = radius_from_neighbors(np.partition(pool.distances[:, parts.shadows], place, axis=1)[:, place])
    if one.method == "threshold_knn_shapley":
        return ThresholdCopies(float(radius), n_classes)
    sensitivity = math.sqrt(CELLS_OF_ADJACENCY[given.get("adjacency") or "add_remove"] * len(pool.distances))
    sigma = gaussian_sigma(float(given["epsilon"]), float(given.get("delta") or DELTA), sensitivity)
    return PrivateThresholdCopies(float(radius), n_classes, sigma, noise)


def _metric(one: Contender) -> str:
    return str(one.options.get("metric", "euclidean"))


def _problems(one: Contender) -> list[Problem]:
    where, problems = f"method {one.name!r}", list[Problem]()
    if one.method not in ATTACKED:
        problems.append(Problem(where, f"one of {', '.join(ATTACKED)}", one.method, "the attack knows no others"))
    if _metric(one) not in SCIPY_NAMES:
        problems.append(Problem(where, "euclidean or cosine distance", _metric(one), "give metric=cosine"))
    if one.method == ATTACKED[-1] and one.options.get("epsilon") is None:
        problems.append(Problem(where, "an epsilon", "none", f"such as {ATTACKED[-1]}:epsilon=1:delta=1e-5"))
    for name, usual in (("ties", "id"), ("sampling_rate", 1)):
        if (got := one.options.get(name)) not in (None, usual):
            hint = "leave it out: copies are valued by formulas of their own, which have no other"
            problems.append(Problem(where, f"{name} {usual}, in the attack", written(got), hint))
    return problems


def _named(scores: list[float]) -> dict[str, float]:
    return {"auroc" if part == "mean" else part: number for part, number in band(scores).items()}

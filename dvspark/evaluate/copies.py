"""Copies: what a copy of a row would be worth in a set of rows, for all rows of a pool at once, without a valuation.

A copy ranks after all rows at its distance, as the row with the highest id does. Its value needs its rank and its match
at each point, and sums over the ranks behind it. Distances are computed once for the pool; sets are parts of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy

from dvspark.evaluate.labeled import LabeledRows
from dvspark.kernels.formulas.threshold_knn_shapley import ThresholdKnnShapley
from dvspark.privacy import values_from_noisy_counts
from dvspark.schemas import Bools, Float64s, Int64s

# What scipy calls the metrics.
SCIPY_NAMES = {"euclidean": "euclidean", "cosine": "cosine"}

# Cosine distances that differ by less are one distance.
COSINE_DIGITS = 12


@dataclass(frozen=True)
class Pool:
    """``distances`` float64 and ``matches`` bool, (n_points, n_rows) each, of all rows from which sets are drawn."""

    distances: Float64s
    matches: Bools

    @classmethod
    def of(cls, rows: LabeledRows, validation: LabeledRows, metric: str) -> Pool:
        """Return the pool of these rows. Cost: O(n_points n_rows n_features); 9 bytes a pair."""
        distances = scipy.spatial.distance.cdist(validation.x, rows.x, SCIPY_NAMES[metric])
        if metric == "cosine":  # rows in one direction are at one distance, whatever their lengths round to
            distances = np.round(distances, COSINE_DIGITS)
        return cls(distances, validation.y[:, None] == rows.y)


class CopyValues(Protocol):
    """How a method values copies."""

    def __call__(self, pool: Pool, members: Int64s, asked: Int64s, *, is_in: bool) -> Float64s:
        """Return the values of copies of the rows ``asked``, each added to the set of ``members``, float64 (n_asked,).

        ``is_in``: the row itself is added too, before its copy. Values are means over the points.
        """
        ...


@dataclass(frozen=True)
class KnnCopies:
    """KNN-Shapley (Jia et al. 2019) of copies. Cost a call: O(n_points (n log n + n_asked log n))."""

    k: int

    def __call__(self, pool: Pool, members: Int64s, asked: Int64s, *, is_in: bool) -> Float64s:
        """Return the values, see `CopyValues`."""
        total, added = np.zeros(len(asked)), 1 + is_in
        for distances, matches in zip(pool.distances, pool.matches, strict=True):
            of_members = distances[members]
            order = np.argsort(of_members, kind="stable")
            ordered, flags = of_members[order], matches[members][order]
            # Old ranks j are j + added behind the copy, where a match takes 1 / (rank (rank - 1)) from it.
            ranks = np.arange(1, len(ordered) + 1) + added
            behind = np.append(np.cumsum((flags / (ranks * (ranks - 1.0)))[::-1])[::-1], 0.0)
            rank = np.searchsorted(ordered, distances[asked], side="right") + added
            first = np.maximum(rank, self.k) + 1 - added  # the old rank of the first row behind both
            total += matches[asked] / np.maximum(self.k, rank) - behind[np.minimum(first - 1, len(ordered))]
        return total / len(pool.distances)


@dataclass(frozen=True)
class SoftKnnCopies:
    """Soft-label KNN-Shapley (Wang & Jia 2023) of copies: KNN-Shapley, and a term that follows from the match alone."""

    k: int
    n_classes: int

    def __call__(self, pool: Pool, members: Int64s, asked: Int64s, *, is_in: bool) -> Float64s:
        """Return the values, see `CopyValues`."""
        n = len(members) + 1 + is_in
        k, matches = min(self.k, n), pool.matches[:, asked]
        n_matches = pool.matches[:, members].sum(axis=1)[:, None] + (1 + is_in) * matches
        slope = (np.sum(1.0 / np.arange(1, k + 1)) - 1.0) / max(n - 1, 1)
        beyond = slope * (matches - n_matches / n) - 1.0 / (self.n_classes * n)
        return KnnCopies(k)(pool, members, asked, is_in=is_in) + beyond.mean(axis=0)


@dataclass(frozen=True)
class ThresholdCopies:
    """Threshold KNN-Shapley of copies. Cost a call: O(n_points (n + n_asked))."""

    radius: float
    n_classes: int

    def __call__(self, pool: Pool, members: Int64s, asked: Int64s, *, is_in: bool) -> Float64s:
        """Return the values, see `CopyValues`."""
        formulas = ThresholdKnnShapley(radius=self.radius, n_classes=self.n_classes)
        near, matches = pool.distances[:, asked] <= self.radius, pool.matches[:, asked]
        n, n_matches = _counts(pool, members, self.radius)
        total = np.zeros(len(asked))
        added = 1 + is_in
        of_match, _ = formulas.neighbor_values(n + added, n_matches + added)
        _, of_other = formulas.neighbor_values(n + added, n_matches)
        total += np.where(near, np.where(matches, of_match[:, None], of_other[:, None]), 0.0).sum(axis=0)
        return total / len(n)


@dataclass(frozen=True)
class PrivateThresholdCopies:
    """Threshold KNN-Shapley of copies from counts with noise of standard deviation ``sigma``, drawn anew a call.

    The noise is Gaussian and rounded. It comes from ``draw``, so that an evaluation can be repeated; a release draws
    its own where nobody can know it. Counts are those of the members, and of the row itself where it is in; its copy
    knows itself and is counted exactly.
    """

    radius: float
    n_classes: int
    sigma: float
    draw: np.random.Generator

    def __call__(self, pool: Pool, members: Int64s, asked: Int64s, *, is_in: bool) -> Float64s:
        """Return the values, see `CopyValues`."""
        near, matches = pool.distances[:, asked] <= self.radius, pool.matches[:, asked]
        n, n_matches = _counts(pool, members, self.radius)
        noise = self.draw.normal(0.0, self.sigma, (2, len(n), len(asked) if is_in else 1))
        joins = near & is_in
        match = n_matches[:, None] + (joins & matches) + noise[0]
        other = (n - n_matches)[:, None] + (joins & ~matches) + noise[1]
        # The function takes the valued row from its own count; the copy is not in it.
        of_match, _ = values_from_noisy_counts(np.maximum(match, 0) + 1, other, self.n_classes)
        _, of_other = values_from_noisy_counts(match, np.maximum(other, 0) + 1, self.n_classes)
        return np.where(near, np.where(matches, of_match, of_other), 0.0).mean(axis=0)


def _counts(pool: Pool, members: Int64s, radius: float) -> tuple[Int64s, Int64s]:
    """Return of each point how many members are within the radius, and how many of these match."""
    near = pool.distances[:, members] <= radius
    return near.sum(axis=1), (near & pool.matches[:, members]).sum(axis=1)

"""Kinds of formulas: a method's parameters as one value, and what a kind of methods asks of it; one class a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dvspark.kernels.formulas.both_tables import BothTables, ValuedRows
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues
from dvspark.kernels.radius import neighbor_values as of_neighbors
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Bools, Float64s, Int64s


@dataclass(frozen=True)
class Parameters:
    """The parameters of a method, each a field, in the order in which they are recorded; the rest are formulas."""

    def plain(self) -> dict[str, Any]:
        """Return them by name, as plain data."""
        return asdict(self)

    @property
    def n_voting(self) -> int:
        """How many nearest rows vote; one where a vote does not end at a number of rows."""
        return 1

    @property
    def efficient(self) -> bool:
        """Whether the values sum to U(N) - U(∅), or to what is counted in their place."""
        return True

    def error_bound(self, n_players: int) -> float:  # noqa: ARG002 - most formulas leave nothing out
        """Return how far a value may be from that of the game by what the formulas leave out, of so many rows."""
        return 0.0

    def error(self, n_players: int) -> float:
        """Return how far a value may be, the way in which rows are found included."""
        return self.error_bound(n_players)


@dataclass(frozen=True)
class NearestVote(Parameters):
    """Parameters of a game in which the ``k`` nearest rows vote."""

    k: int

    @property
    def n_voting(self) -> int:
        """How many nearest rows vote."""
        return self.k


@dataclass(frozen=True)
class RankingFormulas(NearestVote, ABC):
    """Formulas of the `ranking` kind: two tables over ranks."""

    @abstractmethod
    def rank_weights(self, n_players: int) -> RankWeights:
        """Return the weights of ranks 1..n_players."""

    @abstractmethod
    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""

    @abstractmethod
    def recursive_values(self, matches: Float64s) -> Float64s:
        """Return the values of the rows at ranks 1..n from their match flags, by another formula, for the audit."""


@dataclass(frozen=True)
class OrderedFormulas(NearestVote, ABC):
    """Formulas of the `ordered` kind, of one point with its rows in order; values by rank, or by owner."""

    @abstractmethod
    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return the values."""

    @abstractmethod
    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return U(N) and U(∅)."""

    @abstractmethod
    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return the values by another formula, for the audit."""

    def largest_utility(self, point: OrderedPoint) -> float:  # noqa: ARG002 - of a share of matches it is one
        """Return the most that |U| of any rows, or of none, can be: one for a share of matches."""
        return 1.0


@dataclass(frozen=True)
class NearestFormulas(NearestVote, ABC):
    """Formulas of the `nearest` kind; of an approximate search, a point's rows are those that were found."""

    @abstractmethod
    def n_nearest(self, n_players: int) -> int:
        """Return how many of so many rows are asked for, the nearest. Raises: ConfigError where that cannot be."""

    @abstractmethod
    def near_values(self, point: NearestPoint) -> NearValues:
        """Return the values of the nearest rows, and what all others get."""

    @abstractmethod
    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""

    @abstractmethod
    def reference_values(self, matches: Bools) -> Float64s:
        """Return the values of the rows at ranks 1..n from the flags of all ranks, by another formula, for checks."""

    def total(self, point: NearestPoint) -> tuple[float, float]:
        """Return what the values of a point sum to, as U(N) and U(∅) or in their place."""
        return self.utilities(float(np.count_nonzero(point.matches[: self.k])), point.n_players)


@dataclass(frozen=True)
class RadiusFormulas(Parameters, ABC):
    """Formulas of the `radius` kind, of two counts a point; the game is a share of matches, U(∅) = 1/C.

    ``radius`` is a word until the tables have told it.
    """

    radius: float | str
    n_classes: int

    @property
    def settled_radius(self) -> float:
        """The radius. Raises: ValueError where the tables have not told it."""
        if isinstance(self.radius, str):
            raise ValueError(f"expected a radius that is a number; got {self.radius!r}; settle it first")
        return self.radius

    @abstractmethod
    def neighbor_values(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return what a match and another row within the radius get from each point, (n_points,) float64 each."""

    @abstractmethod
    def counted_values(self, n: int, n_matches: int) -> tuple[float, float]:
        """Return the same for one point by another formula, for the audit."""

    def utilities(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return U(N) and U(∅) of points with ``n`` neighbors, (n_points,) float64 each."""
        return of_neighbors.utility(n, n_matches, n_classes=self.n_classes)


@dataclass(frozen=True)
class WholeFormulas(Parameters, ABC):
    """Formulas of the `whole` kind, of all training rows and all validation rows at once."""

    @classmethod
    def held_bytes(cls, n_train: int, n_points: int, n_features: int) -> int:  # noqa: ARG003
        """Return about how many bytes `valued` holds beside both tables: features of the points, as float64."""
        return 20 * n_points * n_features  # measured: 17 for `dvrl`, 8 for `influence`, of 20,000 points of 300

    @property
    def efficient(self) -> bool:
        """No: these values are no shares of a utility."""
        return False

    @abstractmethod
    def valued(self, tables: BothTables) -> ValuedRows:
        """Return the values of all training rows. Their bits depend neither on threads nor on how rows are cut."""

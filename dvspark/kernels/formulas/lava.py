"""LAVA: how fast the class-wise distance to the validation rows would fall if a row counted a little more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from dvspark.errors import ComputeError, InputError, Problem
from dvspark.extras import import_extra
from dvspark.kernels.formulas.both_tables import BothTables, ValuedRows
from dvspark.kernels.formulas.kinds import WholeFormulas
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Finding, Float64s, Floats, Int32s, Int64s

EXTRA = "transport"
# Costs of pairs of rows that are held at once, in float64: 1 GiB. With what the solver holds it is five times that.
MOST_COSTS = 2**27
# Bytes of a pair, measured with 3,000 × 1,500 rows of 8 features: costs, distances of labels, and the solver's flows.
PAIR_BYTES = 41
# Bytes of a number of both tables, measured with 200 × 100 rows of 40,000: as float64, and once more in order.
NUMBER_BYTES = 18
# The network simplex ends on its own; this many pivots are taken for an endless loop.
MOST_PIVOTS = 10**9
# The solver takes what is below some 1e-13 for 0, whatever the unit of the costs: the values of embeddings around 1e-10
# would have four digits, those of embeddings around 1e-15 none. So distances that are all smaller get another unit.
SMALL = 2.0**-10
# Potentials prove a transport to be cheapest if their worth is its cost, to this share of it.
GAP = 1e-9


@dataclass(frozen=True)
class Lava(WholeFormulas):
    """LAVA, by optimal transport between the training rows and the validation rows, all of one table alike.

    A pair of rows costs |x - z| + ``label_weight`` W(class of x, class of z), where W is the least cost |x - z| of
    transport between the rows of a class in one table and those of a class in the other. With f the potentials of the
    training rows, value_i = mean of f over the others - f_i: the calibrated gradient of the least cost, turned around.
    Cost: O(N V d), and that of the network simplex; bytes: see `held_bytes`.
    Source: Just et al., ICLR 2023, arXiv:2305.00054, its class-wise distance and its calibrated gradient; the article
    takes regularized transport.
    """

    label_weight: float

    @classmethod
    def held_bytes(cls, n_train: int, n_points: int, n_features: int) -> int:
        """Return about how many bytes `valued` holds beside both tables."""
        return PAIR_BYTES * n_train * n_points + NUMBER_BYTES * (n_train + n_points) * n_features

    def valued(self, tables: BothTables) -> ValuedRows:
        """Return the values of all training rows."""
        solver = import_extra("ot", EXTRA, "method 'lava'", "the package POT")
        n, n_points = tables.n_train, len(tables.points[1])
        if n * n_points > MOST_COSTS:
            hint = "value a sample of rows; lava compares all pairs of rows in one process"
            got = f"{n:,} × {n_points:,}"
            raise InputError(Problem("rows of both tables", f"at most {MOST_COSTS:,} pairs, for lava", got, hint))
        rows, order = _sorted(tables.train())
        points, _ = _sorted(tables.points)
        with one_thread():
            costs, unit = _distances(rows[0], points[0])
            costs += self.label_weight * label_distances(solver, rows, points, costs)
            potentials, gap = train_potentials(solver, costs)
        values = np.empty(n)
        values[order] = unit * calibrated(potentials)
        meaning = "what the cost of the transport exceeds the worth of its potentials by, in proportion"
        return ValuedRows(values, [Finding("transport", "pass" if gap <= GAP else "fail", gap, GAP, meaning)])


def _distances(x: Floats, z: Floats) -> tuple[Float64s, float]:
    """Return all distances in a unit of their own if they are small, and the unit; ``x`` and ``z`` change.

    Powers of two round nothing.
    """
    unit = _power_of_two(max(np.abs(x).max(initial=0.0), np.abs(z).max(initial=0.0)))
    x /= unit
    z /= unit
    costs = scipy.spatial.distance.cdist(x, z)
    most = float(costs.max(initial=0.0))
    of_costs = _power_of_two(most) if most * unit < SMALL else 1.0 / unit
    costs /= of_costs
    return costs, unit * of_costs


def _power_of_two(most: float) -> float:
    """Return the power of two above a number, 1 for 0."""
    return math.ldexp(1.0, math.frexp(most)[1])


def label_distances(solver: Any, rows: Piece, points: Piece, costs: Float64s) -> Float64s:
    """Return W of the classes of each pair of rows, in the shape of ``costs``, which are those between rows."""
    (own, own_place), (other, other_place) = (np.unique(codes, return_inverse=True) for codes in (rows[1], points[1]))
    table = np.empty((len(own), len(other)))
    for i in range(len(own)):
        here = costs[own_place == i]
        for j in range(len(other)):
            _, _, table[i, j] = _transport(solver, np.ascontiguousarray(here[:, other_place == j]))
    return table[own_place][:, other_place]


def train_potentials(solver: Any, costs: Float64s) -> tuple[Float64s, float]:
    """Return potentials f of the rows of ``costs`` (n, m), and the gap that is left, relative to the least cost.

    f_i is the least of costs_ij - g_j, for the optimal g of the solver: so rows of equal costs have equal potentials.
    """
    _, g, least = _transport(solver, costs)
    f = (costs - g).min(axis=1)
    return f, abs(least - float(f.mean()) - float(g.mean())) / max(least, np.finfo(float).tiny)


def calibrated(potentials: Float64s) -> Float64s:
    """Return the mean potential of the others less that of each; 0 for a single row."""
    n = len(potentials)
    if n == 1:
        return np.zeros(1)
    from_mean = potentials - potentials.mean()
    return -from_mean * (n / (n - 1))


def _transport(solver: Any, costs: Float64s) -> tuple[Float64s, Float64s, float]:
    """Return both potentials of the cheapest transport of equal masses, and what it costs."""
    masses = (np.full(n, 1 / n) for n in costs.shape)
    _, log = solver.emd(*masses, costs, numItermax=MOST_PIVOTS, log=True)
    if log["warning"] is not None:
        raise ComputeError(Problem("optimal transport", "a solution", str(log["warning"]), "value fewer rows"))
    return log["u"], log["v"], float(log["cost"])


def _sorted(piece: Piece) -> tuple[Piece, Int64s]:
    """Return rows in an order that follows from their numbers, in float64, and where each of them was.

    Where several potentials are optimal, the solver's choice depends on the order.
    """
    x, codes = np.asarray(piece[0], np.float64), piece[1]
    order = np.lexsort([codes, *x.T[::-1]])
    classes: Int32s = codes[order]
    return (x[order], classes), order

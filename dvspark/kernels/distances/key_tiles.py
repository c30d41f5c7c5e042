"""Key tiles: approximate keys of a tile of training rows, from float32 or int8 products, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances, product_speed
from dvspark.kernels.distances.key_bounds import KeyBounds, key_bounds, row_terms
from dvspark.kernels.distances.quantized import quantize
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Float64s, Floats, Int32s, Int64s, TrainArrays

# Tables of fewer tiles gain too little.
LEAST_TILES = 4
# Share of the pairs of a tile that int8 products may leave in doubt and still pay: an exact key takes a hundred times
# what an int8 product saves (docs/decisions/0032).
MOST_DOUBT = 1 / 128


@dataclass(frozen=True)
class KeyTile:
    """A tile of training rows from ``start`` on, with approximate keys of all points, see `near_loops.keys_of`.

    ``products`` (n_points, n) float32 or int32, ``row_units`` and ``addend`` (n,) and ``point_units`` (n_points,)
    float32. ``bounds`` are those of the points, ``terms`` (6, n) float64 those of the rows.
    """

    start: int
    products: Floats | Int32s
    row_units: Floats
    point_units: Floats
    addend: Floats
    bounds: KeyBounds
    terms: Float64s

    @property
    def keys(self) -> tuple[Floats | Int32s, Floats, Floats, Floats]:
        """What loops make keys from."""
        return self.products, self.row_units, self.point_units, self.addend

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.addend)

    def largest_errors(self) -> Float64s:
        """Return for each point one bound for all rows, (n_points,) float64."""
        return self.bounds.errors(slice(None), self.terms.max(axis=1, keepdims=True))

    def keys_at(self, points: Int64s, rows: Int64s) -> Floats:
        """Return the keys of pairs of a point and a row of the tile, (n,) float32."""
        scaled = self.products[points, rows].astype(np.float32) * (self.point_units[points] * self.row_units[rows])
        return np.asarray(scaled + self.addend[rows], np.float32)


class KeyTiles:
    """The tiles of a table for some points ``z`` (n_points, n_features); every tile is valid until the next one.

    ``bounds`` are those of float32 keys, with ``constants`` (n_points,) float64 to add to any approximate key.
    ``margin`` times the size of a point's constant is added to its errors.
    Memory: a tile's products, codes and rows in float64.
    """

    def __init__(self, train: TrainArrays, z: Floats, metric: str, workspace: Workspace, margin: float) -> None:
        self._train, self._metric, self._workspace = train, metric, workspace
        self._points = distances.place_points(train, z, metric)
        bounds = key_bounds(train, self._points, z, metric)
        self.constants = bounds.constants
        self.bounds = bounds.widened(margin * np.abs(bounds.constants))
        self.starts = range(0, train.n_train, distances.TILE_ROWS)
        # Whether int8 products pay, for all that is known by now.
        self.int8_pays = len(self.starts) >= LEAST_TILES and product_speed.int8_is_faster(*z.shape)
        if self.int8_pays:
            self._quantize_points()

    def float32(self, start: int) -> KeyTile:
        """Return the tile from ``start`` on by float32 products. Cost: 2 n D n_points operations."""
        placed, scale = distances.placed_tile(self._train, start)
        products = self._room((len(self._points.weights), len(placed)))
        np.matmul(self._points.weights, placed.T, out=products)
        if self._points.units is not None and scale is not None:
            # In float64, rounded only once, so that equal cosines of whole numbers give equal keys.
            loops.fastest().scale_products(products, scale, self._points.units)
        units = np.ones(len(products), np.float32), np.ones(len(placed), np.float32)
        return KeyTile(
            start, products, units[1], units[0], self._addend(start, len(placed)), self.bounds, self._terms(start)
        )

    def int8(self, start: int) -> KeyTile:
        """Return the tile from ``start`` on by int8 products. Cost: as many operations, three times as fast or so."""
        placed, scale = distances.placed_tile(self._train, start)
        rows = quantize(placed, self._workspace.array("row_codes", placed.shape, np.int8))
        products = self._room((len(self._codes), len(placed))).view(np.int32)
        product_speed.integer_products(self._codes, rows.codes, products)
        units = 1.0 if self._points.units is None or scale is None else scale
        terms = self._terms(start)
        terms[4] = rows.losses * units
        terms[5] = terms[1] if self._points.units is None else 1.0
        row_units = (rows.steps * units).astype(np.float32)
        addend = self._addend(start, len(placed))
        return KeyTile(start, products, row_units, self._point_units, addend, self._int8_bounds, terms)

    def _quantize_points(self) -> None:
        weights, units = self._points.weights, self._points.units
        found = quantize(weights, np.empty(weights.shape, np.int8))
        self._codes, unit = found.codes, 1.0 if units is None else units
        self._point_units = (found.steps * unit).astype(np.float32)
        self._int8_bounds = self.bounds.with_int8(found.lengths() * unit, found.losses * unit)

    def _room(self, shape: tuple[int, int]) -> Floats:
        n_pairs = shape[0] * min(distances.TILE_ROWS, self._train.n_train)
        return self._workspace.array("tile_keys", (n_pairs,), np.float32)[: shape[0] * shape[1]].reshape(shape)

    def _addend(self, start: int, n_rows: int) -> Floats:
        return distances.tile_addend(self._train, self._points, self._metric, start, n_rows)

    def _terms(self, start: int) -> Float64s:
        here = slice(start, start + distances.TILE_ROWS)
        scale = None if self._train.scale is None else self._train.scale[here]
        return row_terms(np.sqrt(self._train.squared_norm[here]), scale)

"""Head passes: one reading of rows that values them by one head, and adds up what the next head and its game need.

The gradient of a row in the head is the product of its residuals r, p less 1 at its class, and its features f. So
|g|² = |r|² |f|² and <g, h> = r · (h f), and no gradient is written out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from dvspark.kernels.gradients.head_gradients import AnyPiece, RowFormula
from dvspark.kernels.gradients.row_pass import Arrays
from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Float64s, Floats, Int32s, Int64s

# What a row is in its game: its loss times its gradient, its loss, or its gradient.
CHG, HARDNESS, GRADIENT = "chg", "hardness", "gradient"
VARIANTS = (CHG, HARDNESS, GRADIENT)
# Rows of a tile: its features, logits and residuals lie in a core's cache. Divides `TILE_ROWS`.
PASS_ROWS = 1_024


@dataclass(frozen=True)
class PassSums:
    """What a pass has added up over the rows of each game, and the values of the rows in their order.

    ``counts``, ``losses`` and ``squares`` (n_games,): rows, their losses, and squared lengths of what they are in the
    game. ``totals`` (n_games, n_classes, n_features + 1): sums of these, empty under `hardness`. ``slope`` (n_classes,
    n_features + 1): the sum of all gradients, which trains the head; empty unless the pass was asked for it. ``values``
    (n,), empty if no head was given to value by.
    """

    counts: Float64s
    losses: Float64s
    squares: Float64s
    totals: Float64s
    slope: Float64s
    values: Float64s

    def arrays(self) -> Arrays:
        """Return its arrays by name."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of its arrays."""
        return (*ADDED, "values")

    @classmethod
    def joined(cls, parts: Iterable[Mapping[str, Float64s]]) -> PassSums:
        """Return the sums of parts, added in this order; values follow each other. There is at least one part."""
        added: Arrays = {}
        values = []
        for part in parts:
            values.append(part["values"])
            for name in ADDED:
                if name in added:
                    added[name] += part[name]
                else:
                    added[name] = np.array(part[name])
        return cls(**added, values=np.concatenate(values))


ADDED = ("counts", "losses", "squares", "totals", "slope")


@dataclass(frozen=True)
class HeadPass:
    """What a pass is asked for, as plain arrays; ``center`` (n_features,) and ``scale`` place rows as a head does.

    - ``weights`` (n_classes, n_features + 1): the head at which gradients are added up; None: nothing is.
    - ``variant``: what a row is in its game, see VARIANTS; None: nothing but the head's own slope is added up.
    - ``by_label``: rows of each label are a game of their own, else all rows are one.
    - ``trains``: whether the slope of the head is wanted.
    - ``valued_at`` (n_classes, n_features + 1): the head by which rows are valued; ``formulas``: one a game.
    """

    center: Float64s
    scale: float
    weights: Float64s | None = None
    variant: str | None = CHG
    by_label: bool = False
    trains: bool = False
    valued_at: Float64s | None = None
    formulas: tuple[RowFormula, ...] = ()

    task: ClassVar[str] = "head"

    @classmethod
    def of(cls, head: SoftmaxHead, variant: str | None = CHG, *, by_label: bool = False) -> HeadPass:
        """Return a pass that adds up at ``head``."""
        return cls(head.center, head.scale, head.weights, variant, by_label)

    def valuing(self, weights: Float64s, formulas: tuple[RowFormula, ...]) -> HeadPass:
        """Return the pass that also values rows by a head with these weights."""
        return replace(self, valued_at=weights, formulas=formulas)

    def arrays(self) -> Arrays:
        """Return it as arrays by name, for who works elsewhere."""
        told = -1 if self.variant is None else VARIANTS.index(self.variant)
        found = {"center": self.center, "about": np.array([self.scale, told, self.by_label, self.trains])}
        found |= {} if self.weights is None else {"weights": self.weights}
        if self.valued_at is not None:
            found["valued_at"] = self.valued_at
            found["factors"] = np.array([(one.own, one.shared) for one in self.formulas])
            directions = [one.direction for one in self.formulas if one.direction is not None]
            found |= {"directions": np.stack(directions)} if directions else {}
        return found

    @classmethod
    def of_arrays(cls, told: Mapping[str, Float64s]) -> HeadPass:
        """Return the pass that `arrays` has told."""
        scale, variant, by_label, trains = told["about"].tolist()
        directions = told.get("directions", [None] * len(told.get("factors", ())))
        formulas = tuple(
            RowFormula(own, direction, shared)
            for (own, shared), direction in zip(told.get("factors", np.empty((0, 2))).tolist(), directions, strict=True)
        )
        named = None if variant < 0 else VARIANTS[int(variant)]
        given = told.get("weights"), named, bool(by_label), bool(trains)
        return cls(told["center"], scale, *given, told.get("valued_at"), formulas)

    @property
    def told(self) -> tuple[str, ...]:
        """The names of the arrays that it tells of each stretch."""
        return PassSums.names()

    def answer(self, pieces: Iterable[AnyPiece]) -> Arrays:
        """Return what is asked for over the rows of a stretch, as arrays of `PassSums`."""
        return self.over(pieces).arrays()

    @property
    def n_classes(self) -> int:
        """Number of classes of the head."""
        given = self.weights if self.weights is not None else self.valued_at
        return 0 if given is None else len(given)

    @property
    def n_games(self) -> int:
        """Number of games."""
        return self.n_classes if self.by_label else 1

    @cached_property
    def stacked(self) -> Float64s:
        """All matrices by which features are multiplied, on one another: one product of many columns is faster."""
        parts = [part for part in (self.weights, self.valued_at) if part is not None]
        if self._direction is not None:
            parts.append(self._direction)
        return np.concatenate(parts)

    @property
    def _direction(self) -> Float64s | None:
        """The direction of the one game, if there is one game and it has one."""
        return self.formulas[0].direction if len(self.formulas) == 1 else None

    def over(self, pieces: Iterable[AnyPiece]) -> PassSums:
        """Return what is asked for over rows in ``pieces``, tile by tile in their order.

        Pieces that are cut between tiles change no bit. BLAS must have one thread.
        Cost: O(n × classes × features) time; memory: six times that of the weights, a tile, and 8 n bytes of values.
        """
        c, width = self.n_classes, len(self.center) + 1
        doubled = 2 * c if self.variant == CHG else c
        state = _State(self, np.zeros((doubled, width)))
        for x, codes, *_ in pieces:
            for start in range(0, len(x), PASS_ROWS):
                state.add(x[start : start + PASS_ROWS], codes[start : start + PASS_ROWS])
        return state.sums()


class _State:
    """What one pass has added up so far."""

    def __init__(self, asked: HeadPass, together: Float64s) -> None:
        self.asked, n, shape = asked, asked.n_games, together.shape
        self.counts, self.losses, self.squares = np.zeros(n), np.zeros(n), np.zeros(n)
        self.together = together  # of one game: the slope above the total
        many = asked.by_label and asked.variant in (CHG, GRADIENT)
        self.by_game = np.zeros((n, asked.n_classes, shape[1])) if many else np.empty(0)
        self.values = list[Float64s]()
        self.features = np.ones((PASS_ROWS, shape[1]))

    def add(self, x: Floats, codes: Int32s) -> None:
        asked, n, c = self.asked, len(x), self.asked.n_classes
        features = self.features[:n]
        np.subtract(x, asked.center, out=features[:, :-1])
        features[:, :-1] /= asked.scale
        products, rows = features @ asked.stacked.T, np.arange(n)
        squared = asked.variant in (CHG, GRADIENT)
        lengths = np.einsum("nd,nd->n", features, features) if squared else np.empty(0)
        place = 0
        if asked.weights is not None:
            residuals, loss = _residuals(products[:, :c], codes, rows)
            self._sum(features, residuals, loss, lengths, codes)
            place = c
        if asked.valued_at is not None:
            residuals, loss = _residuals(products[:, place : place + c], codes, rows)
            along = products[:, place + c :]
            self.values.append(self._valued(features, residuals, loss, lengths, codes, along))

    def _sum(self, features: Float64s, residuals: Float64s, loss: Float64s, lengths: Float64s, codes: Int32s) -> None:
        asked, c, n = self.asked, self.asked.n_classes, len(codes)
        games = codes if asked.by_label else np.zeros(n, np.int32)
        n_games = asked.n_games
        self.counts += np.bincount(games, minlength=n_games)
        self.losses += np.bincount(games, loss, n_games)
        if asked.variant is None or asked.variant == HARDNESS:
            if asked.trains:
                self.together += residuals.T @ features
            return
        squares = np.einsum("nc,nc->n", residuals, residuals) * lengths
        self.squares += np.bincount(games, squares * loss * loss if asked.variant == CHG else squares, n_games)
        if asked.variant == CHG:
            pair = np.empty((n, 2 * c))
            pair[:, :c], pair[:, c:] = residuals, residuals * loss[:, None]
        else:
            pair = residuals
        if not asked.by_label:
            wanted = slice(0 if asked.trains else len(self.together) - c, None)
            self.together[wanted] += pair[:, wanted].T @ features
            return
        if asked.trains:
            self.together[:c] += residuals.T @ features
        for game in np.unique(codes).tolist():
            own = codes == game
            self.by_game[game] += pair[own, -c:].T @ features[own]

    def _valued(
        self,
        features: Float64s,
        residuals: Float64s,
        loss: Float64s,
        lengths: Float64s,
        codes: Int32s,
        along: Float64s,
    ) -> Float64s:
        asked = self.asked
        games = codes if asked.by_label else np.zeros(len(codes), np.int32)
        own, shared = (np.array([getattr(one, name) for one in asked.formulas]) for name in ("own", "shared"))
        if asked.variant == HARDNESS:
            return own[games] * loss + shared[games]
        if asked.by_label and len(asked.formulas) > 1:
            along = np.empty_like(residuals)
            for game in np.unique(codes).tolist():
                here = codes == game
                along[here] = features[here] @ asked.formulas[game].direction.T
        squares = np.einsum("nc,nc->n", residuals, residuals) * lengths
        projected = np.einsum("nc,nc->n", residuals, along)
        if asked.variant == CHG:
            squares *= loss * loss
            projected *= loss
        return own[games] * squares + projected + shared[games]

    def sums(self) -> PassSums:
        asked, c = self.asked, self.asked.n_classes
        totals = self.by_game
        if asked.variant in (CHG, GRADIENT) and not asked.by_label and asked.weights is not None:
            totals = self.together[None, -c:]
        slope = self.together[:c] if asked.trains else np.empty(0)
        values = np.concatenate(self.values) if self.values else np.empty(0)
        return PassSums(self.counts, self.losses, self.squares, totals, slope, values)


def _residuals(logits: Float64s, codes: Int32s, rows: Int64s) -> tuple[Float64s, Float64s]:
    """Return p less 1 at each row's class, and the losses."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[rows, codes]
    residuals: Float64s = np.exp(shifted, out=shifted)
    total = residuals.sum(axis=1)
    loss: Float64s = np.log(total) - own
    residuals /= total[:, None]
    residuals[rows, codes] = np.expm1(-loss)  # p - 1 without cancellation
    return residuals, loss

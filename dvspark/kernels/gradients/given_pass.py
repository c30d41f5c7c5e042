"""Given passes: readings of rows whose gradients are given, that add them up, or value rows by the sums of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dvspark.kernels.formulas.chg_shapley import GradientGame
from dvspark.kernels.formulas.hardness_shapley import HardnessGame
from dvspark.kernels.gradients.course import CourseValues, Games, Watched, games_of
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.gradients.head_pass import CHG, GRADIENT, HARDNESS, PASS_ROWS, VARIANTS, PassSums
from dvspark.kernels.gradients.row_pass import Arrays
from dvspark.schemas import Float64s, Int32s


@dataclass(frozen=True)
class GivenPass:
    """What a pass over given gradients, of ``n_numbers`` each, is asked for.

    ``variant``: what a row is in its game, see VARIANTS. Rows of each of ``n_classes`` labels are a game of their own,
    or with 0 all rows are one. ``games``: by which rows are valued, one a class; none: gradients are added up.
    """

    variant: str
    n_numbers: int
    n_classes: int = 0
    games: Games = ()

    task: ClassVar[str] = "given"
    told: ClassVar[tuple[str, ...]] = PassSums.names()

    def valuing(self, games: Games) -> GivenPass:
        """Return the pass that values rows by these games."""
        return replace(self, games=games)

    def arrays(self) -> Arrays:
        """Return it as arrays by name, for who works elsewhere."""
        found = {"about": np.array([VARIANTS.index(self.variant), self.n_numbers, self.n_classes], np.float64)}
        of_gradients = [game for game in self.games if isinstance(game, GradientGame)]
        of_losses = [game for game in self.games if isinstance(game, HardnessGame)]
        if of_gradients:
            found["factors"] = np.array([(game.n, game.squares) for game in of_gradients])
            found["alpha"] = np.stack([game.alpha for game in of_gradients])
            found["total"] = np.stack([game.total for game in of_gradients])
        if of_losses:
            found["factors"] = np.array([(game.n, game.total) for game in of_losses])
        return found

    @classmethod
    def of_arrays(cls, told: Mapping[str, Float64s]) -> GivenPass:
        """Return the pass that `arrays` has told."""
        variant, n_numbers, n_classes = (int(one) for one in told["about"])
        factors = told["factors"].tolist() if "factors" in told else []
        games: Games = tuple(HardnessGame(int(n), total) for n, total in factors)
        if "alpha" in told:
            parts = zip(factors, told["alpha"], told["total"], strict=True)
            games = tuple(GradientGame(int(n), alpha, total, squares) for (n, squares), alpha, total in parts)
        return cls(VARIANTS[variant], n_numbers, n_classes, games)

    def over(self, pieces: Iterable[AnyPiece]) -> PassSums:
        """Return what is asked for over rows in ``pieces``, tile by tile in their order.

        Pieces that are cut between tiles change no bit. Cost: O(n × n_numbers) time; a tile, and 8 n bytes of values.
        """
        return self._valued(pieces) if self.games else self._added(pieces)

    def answer(self, pieces: Iterable[AnyPiece]) -> Arrays:
        """Return what is asked for over the rows of a stretch, as arrays of `PassSums`."""
        return self.over(pieces).arrays()

    def written(self, x: Float64s, losses: Float64s) -> Float64s:
        """Return what rows are in their game, (n, n_numbers); under `hardness` this is their ``losses``, (n,)."""
        if self.variant == HARDNESS:
            return losses
        return x * losses[:, None] if self.variant == CHG else x

    def _added(self, pieces: Iterable[AnyPiece]) -> PassSums:
        n_games = max(self.n_classes, 1)
        counts, added, squares = (np.zeros(n_games) for _ in range(3))
        totals = np.empty(0) if self.variant == HARDNESS else np.zeros((n_games, self.n_numbers))
        for x, losses, games in self._tiles(pieces):
            counts += np.bincount(games, minlength=n_games)
            added += np.bincount(games, losses, n_games)
            if self.variant == HARDNESS:
                continue
            rows = self.written(x, losses)
            squares += np.bincount(games, np.einsum("np,np->n", rows, rows), n_games)
            for game in np.unique(games).tolist():
                totals[game] += rows[games == game].sum(axis=0)
        return PassSums(counts, added, squares, totals, np.empty(0), np.empty(0))

    def _valued(self, pieces: Iterable[AnyPiece]) -> PassSums:
        found = list[Float64s]()
        for x, losses, games in self._tiles(pieces):
            rows, values = self.written(x, losses), np.empty(len(x))
            for game in np.unique(games).tolist():
                own = games == game
                values[own] = self.games[game].values(rows[own])
            found.append(values)
        nothing = np.empty(0)
        return PassSums(nothing, nothing, nothing, nothing, nothing, np.concatenate(found))

    def _tiles(self, pieces: Iterable[AnyPiece]) -> Iterator[tuple[Float64s, Float64s, Int32s]]:
        """Yield gradients, losses (0 where they do not count and rows have none) and the games of rows, by tile.

        Raises: ValueError for rows without losses that count.
        """
        for x, codes, *told in pieces:
            if not told and self.variant != GRADIENT:
                raise ValueError(f"expected losses of rows; got none; variant {self.variant} needs them")
            losses = told[0] if told else np.zeros(len(x))
            for start in range(0, len(x), PASS_ROWS):
                here = slice(start, start + PASS_ROWS)
                games = codes[here] if self.n_classes else np.zeros(len(x[here]), np.int32)
                yield np.asarray(x[here], np.float64), np.asarray(losses[here], np.float64), games


def given_values(
    asked: GivenPass,
    run: Callable[[GivenPass], PassSums],
    run_target: Callable[[GivenPass], PassSums] | None,
    watched: Watched = Watched(),  # noqa: B008 - it is frozen
) -> CourseValues:
    """Return the values of rows whose gradients are given; ``run`` passes over them, ``run_target`` over the targets'.

    ``run_target`` None: their own mean is the target. Two readings of the rows.
    Raises: NoTargetError where each class has its game, and a class has no target row.
    """
    told = run(asked)
    games = games_of(told, None if run_target is None else run_target(asked), asked.variant)
    watched.see(None, games)
    values = run(asked.valuing(games)).values
    utility, size = sum(game.utility for game in games), sum(game.size for game in games)
    return CourseValues(values, utility, size, (float(told.losses.sum() / told.counts.sum()),), None)

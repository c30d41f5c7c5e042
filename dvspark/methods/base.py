"""The blueprint of a method: what it is called, what it asks for, and which kernel computes it."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

from dvspark.errors import Problem, close_matches
from dvspark.kernels.binned import Game
from dvspark.kernels.merged import MergedPoint, merged_partial
from dvspark.kernels.partials import game_of, point_values, ranking_partial
from dvspark.kernels.rank_values import RankWeights
from dvspark.kernels.ranking import RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays

Parameters = Mapping[str, int]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: a whole number from ``minimum``; ``default`` None: the inputs decide."""

    name: str
    minimum: int
    default: int | None
    meaning: str


K = Parameter("k", 1, 10, "neighbors that vote")
N_CLASSES = Parameter("n_classes", 1, None, "size of the label space; else the labels of both tables are counted")


@dataclass(frozen=True)
class Method:
    """One way to value training rows: a declaration; the tables come from one kernel file.

    ``needs`` names what the engine supplies to the kernel. ``rank_weights(n_players, **parameters)`` and
    ``utility(n_nearest_matches, n_players, **parameters)`` are the kernel's, and
    ``recursive_values(matches, **parameters)`` is a second formula, for the audit. ``efficient``: the values sum to
    U(N) - U(∅), which the audit then demands. ``reference``: authors, year, place, DOI.
    """

    name: str
    needs: str
    parameters: tuple[Parameter, ...]
    rank_weights: Callable[..., RankWeights]
    utility: Callable[..., tuple[float, float]]
    recursive_values: Callable[..., Float64s]
    reference: str
    efficient: bool = True

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk; cost and memory as in `kernels.partials.ranking_partial`."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return ranking_partial(train, chunk, options, weights_of, utility_of, workspace or Workspace())

    def merged_partial(
        self,
        points: Iterable[MergedPoint],
        n_train: int,
        n_players: int,
        options: RankingOptions,
        parameters: Parameters,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks; see `kernels.merged.merged_partial`."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return merged_partial(points, n_train, n_players, options, weights_of, utility_of)

    def game(self, n_players: int, options: RankingOptions, parameters: Parameters) -> Game:
        """Return the game of ``n_players`` rows, for the binned ranking."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return game_of(n_players, options, weights_of, utility_of)

    def points(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: Parameters
    ) -> Iterator[tuple[RankedRows, Float64s]]:
        """Yield for each validation point its ranked rows and their values in rank order."""
        return point_values(train, chunk, options, partial(self.rank_weights, **parameters), Workspace())

    def parameter_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the given parameters; None stands for left out."""
        known = {parameter.name: parameter for parameter in self.parameters}
        problems = []
        for name, value in given.items():
            if value is None:
                continue
            if name not in known:
                expected, hint = f"a parameter of {self.name}", close_matches(name, [*known])
                problems.append(Problem(f"parameter {name!r}", expected, reprlib.repr(value), hint))
            elif isinstance(value, bool) or not isinstance(value, Integral) or value < known[name].minimum:
                expected = f"a whole number from {known[name].minimum} ({known[name].meaning})"
                hint = f"give {name} as an integer of at least {known[name].minimum}"
                problems.append(Problem(f"parameter {name!r}", expected, reprlib.repr(value), hint))
        return problems

    def resolved(self, given: Mapping[str, int | None], n_classes: int) -> dict[str, int]:
        """Return all parameters: the given ones, else their defaults, else what the inputs say."""
        counted = {"n_classes": n_classes}
        result = {}
        for parameter in self.parameters:
            value = given.get(parameter.name)
            value = parameter.default if value is None else value
            result[parameter.name] = counted[parameter.name] if value is None else int(value)
        return result

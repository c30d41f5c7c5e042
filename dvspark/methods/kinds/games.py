"""Methods of the kind `games`: values from what a utility says of coalitions, for any utility."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from dvspark.errors import ConfigError, Problem, written
from dvspark.games.bounds import Promise
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import EstimatedValues, Estimator
from dvspark.games.playing import Played, Rules, play, require_budget
from dvspark.games.totals import Totals
from dvspark.games.utilities.game_tables import Answers, GameTables
from dvspark.games.utilities.named import compares_rows, named_utility, read_spec
from dvspark.games.utility import Ends, Worths
from dvspark.kernels.ranking.ordered import given as present
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.game_cost import evaluation_seconds
from dvspark.methods.game_parameters import (
    OF_JOBS,
    PLAYERS,
    RULES,
    TARGET,
    UTILITY_RADIUS,
    Factory,
    GameParameters,
    game_parameters,
)
from dvspark.methods.game_rows import answers_of, tables_of, utility_settings
from dvspark.methods.kinds.shared import SharedMethod
from dvspark.methods.parameters import Parameter, resolved_parameters
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Partial, TrainArrays

# `knn` keeps 5 bytes for each pair of rows, and takes 8 more while it is made.
UTILITY_BYTES = 13
# A utility is timed on so many random rows, at most.
SAMPLE_ROWS, SAMPLE_POINTS = 4096, 1024


def _owners_of_players(given: Mapping[str, Any]) -> tuple[str, ...]:
    return ("owners",) if given.get(PLAYERS.name) == "owners" else ()


@dataclass(frozen=True)
class Outcome:
    """What a game has come to: an estimate, and the bound of its error, None where none is promised."""

    estimate: EstimatedValues
    error_bound: float | None
    ends: Ends
    played: Played
    biased: str

    def partial(self) -> Partial:
        """Return the values as the partial of one game; without a bound its certificate is infinite."""
        bound = np.inf if self.error_bound is None else self.error_bound
        values, totals = self.estimate.values, self.played.totals
        rows = None if self.error_bound is None else np.full(len(values), bound)
        size = max(abs(totals.least), abs(totals.most))
        return Partial(
            values.copy(), np.zeros(len(values)), 1, self.ends.all, self.ends.none, bound, rows, size=float(size)
        )


@dataclass(frozen=True, kw_only=True)
class GamesMethod(SharedMethod[GameParameters]):
    """A method that values players by the utility of coalitions; all validation rows share one game.

    - ``estimator``: the class that has ``n_players`` and the own parameters as fields.
    - ``biased``: given parameters as plain data, why the values are biased, or nothing.
    - ``scores``: whether the utility is asked for the scores of single rows.
    """

    estimator: Callable[..., Estimator]
    parameters: tuple[Parameter, ...] = game_parameters()
    formulas: type[GameParameters] = GameParameters
    asks: Callable[[Mapping[str, Any]], tuple[str, ...]] = _owners_of_players
    efficient: bool = False
    scores: bool = False
    biased: Callable[[Mapping[str, Any]], str] = lambda _given: ""

    kind: ClassVar[str] = "games"
    in_blocks: ClassVar[bool] = False
    sits_out: ClassVar[bool] = False

    @property
    def own_parameters(self) -> tuple[Parameter, ...]:
        """The parameters besides those of a job (`OF_JOBS`)."""
        return tuple(one for one in self.parameters if one not in OF_JOBS and not isinstance(one, Factory))

    def resolved(self, given: Mapping[str, Any], n_classes: int) -> GameParameters:
        """Return all parameters: the given value, else the default, else what follows from the inputs."""
        return GameParameters(resolved_parameters(self.parameters, given, n_classes), self.efficient)

    def parameter_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the given parameters; None stands for left out."""
        return super().parameter_problems(given) or self.rule_problems(given) + self._utility_problems(given)

    def rule_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the rules to stop by, taken together."""
        if given.get("epsilon") is None or given.get("utility_range") is not None:
            return []
        hint = "give it, since the bound follows from it: 1 for an accuracy; or stop by standard_error"
        return [Problem("parameter 'utility_range'", "a number, with epsilon", "None", hint)]

    def _utility_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        utility = given.get("utility")
        problems = list[Problem]()
        if isinstance(utility, str):
            try:
                name, arguments = read_spec(utility)
            except ConfigError as error:
                return list(error.problems)
            if name == "threshold_knn" and given.get("radius") is None and "radius" not in arguments:
                problems.append(UTILITY_RADIUS.problem(None))
            if self.scores and compares_rows(utility):
                hint = "name a class of scikit-learn, or a function whose utility has scores(bag)"
                problems.append(Problem("parameter 'utility'", f"a model, for {self.name}", written(utility), hint))
        if self.scores and self.players_of(given) == "owners":
            problems.append(Problem("parameter 'players'", f"'rows', for {self.name}", "'owners'", "bags are of rows"))
        return problems

    def players_of(self, given: Mapping[str, Any]) -> str:
        """Return who is valued under these parameters, "rows" or "owners"."""
        return str(given.get("players") or PLAYERS.default)

    def target_of(self, given: Mapping[str, Any]) -> str:
        """Return what rows have as label under these parameters, "label" or "number"."""
        return str(given.get("target") or TARGET.default)

    def compares_by(self, given: Mapping[str, Any]) -> bool:
        """Return whether the utility compares rows by the metric."""
        return compares_rows(given.get("utility") or self.parameters[0].default)

    def bounds(self, given: Mapping[str, Any]) -> bool:
        """Return whether a bound of the error is promised: it follows from how far apart utilities can be."""
        return given.get("utility_range") is not None and not self.biased(given)

    def estimator_of(self, n_players: int, resolved: Mapping[str, Any]) -> Estimator:
        """Return the estimator for so many players."""
        own = [one.name for one in self.own_parameters if one not in RULES]
        return self.estimator(n_players, **{name: resolved[name] for name in own})

    def rules_of(self, evaluations: int, resolved: Mapping[str, Any]) -> Rules:
        """Return when to stop."""
        promise = None
        if resolved.get("utility_range") is not None:
            looks = resolved.get("standard_error") is not None
            promise = Promise(resolved["utility_range"], resolved["delta"], resolved["epsilon"], looks)
        return Rules(evaluations, resolved.get("standard_error"), promise)

    def size_problems(self, n_players: int, parameters: GameParameters) -> list[Problem]:
        """Return why the budget does not pay for an estimate of so many players."""
        given = parameters.values
        try:
            require_budget(self.estimator_of(n_players, given), self.rules_of(given["evaluations"], given))
        except ConfigError as error:
            return list(error.problems)
        return []

    def outcome(self, estimator: Estimator, ends: Ends, rules: Rules, played: Played, biased: str) -> Outcome:
        """Return what the ranges that were played come to; where it is ``biased``, no bound holds."""
        bound = None
        if rules.promise is not None and not biased:
            bound = estimator.error_bound(played.totals, ends, rules.promise)
        return Outcome(estimator.estimate(played.totals, ends), bound, ends, played, biased)

    def played(self, tables: GameTables, metric: str, parameters: GameParameters) -> Outcome:
        """Return what the game of these tables comes to, all coalitions being asked for in this process.

        Raises: ConfigError for a utility that cannot be made or too small a budget, ComputeError where it fails.
        """
        given = parameters.values
        utility = named_utility(given["utility"], tables, utility_settings(given, metric))
        estimator = self.estimator_of(tables.n_players, given)
        rules = self.rules_of(given["evaluations"], given)
        require_budget(estimator, rules)
        worths = Worths(utility, tables.n_players, given["cache_worths"])
        ends = worths.ends()
        begun = Totals.of_ends(estimator.n_moments, tables.n_players, ends)

        def play_ranges(stretches: Sequence[Drawn]) -> Iterator[Totals]:
            return (estimator.totals(drawn, given["seed"], worths, ends) for drawn in stretches)

        played = play(estimator, rules, ends, begun, play_ranges, lambda _totals: None)
        return self.outcome(estimator, ends, rules, played, self.biased(given))

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: GameParameters,
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Partial:
        """Return the values with one chunk as all validation rows; a label is known by its code, -1 if it is new."""
        return self._partial(train, chunk, self._answers(train, chunk, parameters), options, parameters)

    def _answers(self, train: TrainArrays, chunk: ChunkArrays, parameters: GameParameters) -> tuple[Answers, Answers]:
        if self.target_of(parameters.values) == "number":
            return present(train.columns.targets, "targets"), present(chunk.targets, "targets")
        codes = present(train.labels.codes, "one label a row").astype(np.int64)
        return codes, np.array([codes[0] if len(codes) else -1 for codes in chunk.labels], np.int64)

    def one_game(
        self,
        train: TrainArrays,
        points: ChunkArrays,
        labels: tuple[pa.Array, pa.Array],
        options: RankingOptions,
        parameters: GameParameters,
    ) -> Partial:
        """Return the partial of all points; ``labels`` of training rows and of points."""
        return self._partial(train, points, (answers_of(labels[0]), answers_of(labels[1])), options, parameters)

    def _partial(
        self,
        train: TrainArrays,
        points: ChunkArrays,
        answers: tuple[Answers, Answers],
        options: RankingOptions,
        parameters: GameParameters,
    ) -> Partial:
        tables = tables_of(train, points, answers, parameters)
        return self.played(tables, options.metric, parameters).partial()

    def n_ranges(self, n_players: int, parameters: GameParameters) -> int:
        """Return how many ranges of draws the budget pays for."""
        estimator, evaluations = self.estimator_of(n_players, parameters.values), parameters.values["evaluations"]
        return max(1, round(evaluations / (estimator.range_draws * estimator.draw_cost)))

    def sample_sizes(self, sizes: JobSizes, most: int) -> tuple[int, int]:
        """Return of how many random rows and points `shared_seconds` judges."""
        return min(most, sizes.n_train, SAMPLE_ROWS), min(sizes.n_validation, SAMPLE_POINTS)

    def shared_seconds(
        self,
        sizes: JobSizes,
        train: TrainArrays,
        points: ChunkArrays,
        options: RankingOptions,
        parameters: GameParameters,
    ) -> float:
        """Return the CPU seconds of the whole budget: the utility is timed on a few coalitions of random rows.

        An evaluation is taken to cost in proportion to rows and points; in a walk, to points.
        """
        given = parameters.values
        tables = tables_of(train, points, self._answers(train, points, parameters), parameters)
        began = time.process_time()
        utility = named_utility(given["utility"], tables, utility_settings(given, options.metric))
        made, larger = time.process_time() - began, sizes.n_validation / points.n_validation
        each, walks = evaluation_seconds(
            utility, tables.n_players, scores=self.scores, evaluations=given["evaluations"]
        )
        more_rows = sizes.n_train / train.n_train
        return larger * (made * more_rows + given["evaluations"] * each * (1.0 if walks else more_rows))

    def asked(self, sizes: JobSizes) -> str:  # noqa: ARG002
        """Return in words what the method needs of the training rows."""
        return "coalitions"

    def flops(self, sizes: JobSizes) -> int:  # noqa: ARG002
        """Return 0: what a utility computes is not known."""
        return 0

    def scratch_bytes(self, sizes: JobSizes, rows: int) -> int:
        """Return the memory that a utility of neighbors takes; a model takes what it takes."""
        return UTILITY_BYTES * rows * sizes.n_validation

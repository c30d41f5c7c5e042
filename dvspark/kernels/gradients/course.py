"""A course: epochs in which a softmax head is trained, and rows are valued by the head of each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dvspark.kernels.formulas.chg_shapley import GradientGame, game_of_sums
from dvspark.kernels.formulas.hardness_shapley import HardnessGame
from dvspark.kernels.gradients.head_gradients import GradientSums, Piece
from dvspark.kernels.gradients.head_pass import HARDNESS, HeadPass, PassSums
from dvspark.kernels.gradients.row_pass import Arrays
from dvspark.kernels.gradients.softmax_head import PENALTY, SoftmaxHead
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Float64s, Int64s

# The share of the last step that the next one repeats.
MOMENTUM = 0.9

# The game of each class, or of all rows.
Games = tuple[GradientGame | HardnessGame, ...]
# What adds up and values over all training rows; what adds up over the rows whose mean is the target, or None.
Run = Callable[[HeadPass], PassSums]


@dataclass(frozen=True)
class Training:
    """How a head is trained: ``epochs`` of steps of ``learning_rate``, each by ``batch_rows`` rows or by all (None).

    In each epoch, rows are dealt to batches by ``seed`` and the number of the epoch.
    Source: Sutskever, Martens, Dahl & Hinton, On the importance of initialization and momentum, ICML 2013 (Nesterov's
    momentum, in the form that values gradients where they are taken).
    """

    epochs: int
    learning_rate: float
    batch_rows: int | None = None
    seed: int = 0

    def batches(self, epoch: int, n: int) -> Iterator[Int64s]:
        """Yield the places of the rows of each step, ascending; together they are all rows once."""
        assert self.batch_rows is not None  # noqa: S101 - who steps by all rows asks for no batches
        dealt = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(n)
        for start in range(0, n, self.batch_rows):
            yield np.sort(dealt[start : start + self.batch_rows])

    def steps_by_all(self, n: int) -> bool:
        """Return whether each step is by all ``n`` rows."""
        return self.batch_rows is None or self.batch_rows >= n


@dataclass
class Steps:
    """A head on its way: ``weights``, and the ``velocity`` of the last step."""

    weights: Float64s
    velocity: Float64s
    learning_rate: float

    @classmethod
    def of(cls, start: SoftmaxHead, training: Training | None) -> Steps:
        """Return the head before the first step."""
        return cls(start.weights, np.zeros_like(start.weights), 0.0 if training is None else training.learning_rate)

    def step(self, slope: Float64s, n: int) -> None:
        """Step down the slope of the mean loss of ``n`` rows with its penalty; ``slope``: the sum of gradients."""
        steepest = slope / n + PENALTY * self.weights
        self.velocity = MOMENTUM * self.velocity + steepest
        self.weights = self.weights - self.learning_rate * (steepest + MOMENTUM * self.velocity)


@dataclass
class CourseState:
    """Where a course is after some epochs, of which ``losses`` are the mean losses.

    ``steps``: the head on its way. ``values``, ``utility`` and ``size``: sums over epochs, but values (n,) lack the
    last epoch: ``asked`` is the pass that values rows by its head.
    """

    steps: Steps
    values: Float64s
    asked: HeadPass
    utility: float = 0.0
    size: float = 0.0
    losses: tuple[float, ...] = ()

    def arrays(self) -> Arrays:
        """Return it as arrays by name."""
        sums, weights, velocity = np.array([self.utility, self.size]), self.steps.weights, self.steps.velocity
        found = {"weights": weights, "velocity": velocity, "values": self.values, "sums": sums}
        asked = {f"asked.{name}": array for name, array in self.asked.arrays().items()}
        return {**found, "losses": np.array(self.losses), **asked}

    @classmethod
    def of_arrays(cls, told: Mapping[str, Float64s], learning_rate: float) -> CourseState:
        """Return the state that `arrays` has told."""
        asked = {name.removeprefix("asked."): array for name, array in told.items() if name.startswith("asked.")}
        steps, (utility, size) = Steps(told["weights"], told["velocity"], learning_rate), told["sums"].tolist()
        values, losses = np.array(told["values"]), tuple(told["losses"].tolist())
        return cls(steps, values, HeadPass.of_arrays(asked), utility, size, losses)


@dataclass(frozen=True)
class CourseValues:
    """What a course has found: the mean ``values`` over epochs, (n,), with their ``utility`` and ``size``, means too.

    ``losses``: the mean loss of each epoch. ``head``: that of the last epoch, by which rows were valued last; None:
    gradients were given.
    """

    values: Float64s
    utility: float
    size: float
    losses: tuple[float, ...]
    head: SoftmaxHead | None


@dataclass(frozen=True)
class Watched:
    """Who is told the head, if any, and the games of each epoch: ``see``; and how many are done: ``report``.

    ``keep`` is told the state after each epoch; ``kept``: the state with which to go on, as arrays.
    """

    see: Callable[[SoftmaxHead | None, Games], None] = lambda _head, _games: None
    report: Callable[[int, int], None] = lambda _done, _total: None
    keep: Callable[[CourseState], None] = lambda _state: None
    kept: Mapping[str, Float64s] | None = None


@dataclass(frozen=True)
class Course:
    """Epochs of ``training`` from the head ``start``, which values rows in each by a ``variant`` of the game.

    ``training`` None: the head stays, and there is one epoch. ``run`` passes over the training rows, ``run_target``
    over the rows whose mean is the target, None: the training rows; ``some`` returns training rows at places.
    """

    start: SoftmaxHead
    training: Training | None
    variant: str
    by_label: bool
    n: int
    run: Run
    run_target: Run | None
    some: Callable[[Int64s], Piece]

    def valued(self, watched: Watched = Watched()) -> CourseValues:
        """Return the values.

        While the next epoch adds up, rows are valued by the head of the epoch before: K epochs take K + 1 readings.
        Cost: each reading O(n × classes × features); memory: a few times the weights, and 8 n bytes.
        Raises: NoTargetError where each class has its game, and a class has no target row.
        """
        n_epochs, state = self.n_epochs, self._begun(watched.kept)
        first = HeadPass.of(self.start, self.variant, by_label=self.by_label)
        for epoch in range(len(state.losses), n_epochs):
            weights = state.steps.weights
            told = self.run(replace(state.asked, weights=weights))
            if epoch:
                state.values += told.values
            target = None if self.run_target is None else self.run_target(replace(first, weights=weights))
            games = games_of(told, target, self.variant)
            loss = self.start.loss if self.training is None else float(told.losses.sum()) / self.n
            watched.see(self._head(weights, loss, epoch), games)
            state.utility += sum(game.utility for game in games)
            state.size += sum(game.size for game in games)
            state.losses += (loss,)
            state.asked = state.asked.valuing(weights, tuple(game.row_formula() for game in games))
            self._train(state.steps, told, epoch)
            watched.report(epoch + 1, n_epochs)
            watched.keep(state)
        last = replace(state.asked, weights=None, trains=False)
        values, losses = state.values + self.run(last).values, state.losses
        weights = state.steps.weights if last.valued_at is None else last.valued_at
        head = self._head(weights, losses[-1], n_epochs - 1)
        return CourseValues(values / n_epochs, state.utility / n_epochs, state.size / n_epochs, losses, head)

    def trained(self) -> SoftmaxHead:
        """Return the head after all epochs, the same without any values; its loss is not known. A reading an epoch."""
        steps = Steps.of(self.start, self.training)
        asked = replace(HeadPass.of(self.start, None), trains=True)
        for epoch in range(self.n_epochs):
            told = self.run(replace(asked, weights=steps.weights)) if self._trains_by_all else None
            self._train(steps, told, epoch)
        return replace(self.start, weights=steps.weights, n_steps=self.n_epochs, loss=np.nan)

    @property
    def n_epochs(self) -> int:
        """Number of epochs."""
        return 1 if self.training is None else self.training.epochs

    @property
    def _trains_by_all(self) -> bool:
        return self.training is not None and self.training.steps_by_all(self.n)

    def _begun(self, kept: Mapping[str, Float64s] | None) -> CourseState:
        steps = Steps.of(self.start, self.training)
        if kept is not None:
            return CourseState.of_arrays(kept, steps.learning_rate)
        asked = HeadPass.of(self.start, self.variant, by_label=self.by_label)
        return CourseState(steps, np.zeros(self.n), replace(asked, trains=self._trains_by_all))

    def _head(self, weights: Float64s, loss: float, epoch: int) -> SoftmaxHead:
        if self.training is None:
            return self.start
        return replace(self.start, weights=weights, loss=loss, n_steps=epoch)

    def _train(self, steps: Steps, told: PassSums | None, epoch: int) -> None:
        """Train for an epoch; ``told``: the slope of all rows, if a step is by all."""
        if self.training is None:
            return
        if told is not None and self._trains_by_all:
            steps.step(told.slope, self.n)
            return
        asked = replace(HeadPass.of(self.start, None), trains=True)
        with one_thread():
            for places in self.training.batches(epoch, self.n):
                slope = replace(asked, weights=steps.weights).over([self.some(places)]).slope
                steps.step(slope, len(places))


def games_of(told: PassSums, target: PassSums | None, variant: str) -> Games:
    """Return the games of rows with these sums; of gradients the target is the mean over ``target``, None: their own.

    Raises: NoTargetError for a game that no target row is in.
    """
    if variant == HARDNESS:
        return tuple(HardnessGame(int(n), float(loss)) for n, loss in zip(told.counts, told.losses, strict=True))
    if target is not None and len(missing := np.flatnonzero(target.counts == 0)):
        raise NoTargetError(missing.tolist())
    aims = [None] * len(told.counts) if target is None else _gradient_sums(target)
    return tuple(game_of_sums(own, aim) for own, aim in zip(_gradient_sums(told), aims, strict=True))


def _gradient_sums(told: PassSums) -> list[GradientSums]:
    parts = zip(told.counts.tolist(), told.totals, told.squares.tolist(), strict=True)
    return [GradientSums(int(n), total, squares) for n, total, squares in parts]


class NoTargetError(ValueError):
    """Games that no target row is in: their numbers are ``games``."""

    def __init__(self, games: list[int]) -> None:
        super().__init__(f"no target rows in the games {games}")
        self.games = games

"""The base of all methods: what a method declares, and what the engine asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from dvspark.errors import Problem
from dvspark.kernels import memory
from dvspark.kernels.binning.bins import near_rows
from dvspark.kernels.blocks.merged import MergedPoint
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.parameters import Parameter, parameter_problems, resolved_parameters
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Finding, Float64s, Partial, TrainArrays, TrainColumns

# What travels of a point under the binned ranking: from each block how many rows have each code, 2 bytes below 65,536
# rows, and which bins are too narrow; to all blocks a table; and of each near row id, distance, match and value.
BIN_COUNT_BYTES, BIN_PART_BYTES, BIN_TABLE_BYTES = 3 * 2**15, 2**11, 2**17
NEAR_ROW_BYTES = 20
# Under the sorted ranking, the float32 key of each row.
KEY_BYTES = 4

# Where the sharded plan values points without all their keys: a method's weights and their sums take 64 bytes a row
# under the binned ranking; the audit's reference, which ranks one point by all its float64 distances, took 106 in
# `tests/bench/sharded.py`.
VALUING_ROW_BYTES = 112


def _no_problems(_given: Mapping[str, Any]) -> list[Problem]:
    return []


def _nothing(_given: Mapping[str, Any]) -> tuple[str, ...]:
    return ()


def owners(_given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what methods ask for whose players are owners."""
    return ("owners",)


def _never(_given: Mapping[str, Any]) -> bool:
    return False


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, kw_only=True)
class Method(ABC, Generic[P]):
    """One way to value training rows: a declaration. The computation is in one kernel file.

    - ``parameters``: what the user may choose. ``formulas``: the class in the kernel file that has these parameters as
      fields. `resolved` makes one value of this class, which this method alone gets as ``parameters`` afterward.
    - ``reference``: authors, year, place, DOI. For people who choose: ``gives``: what a row's value is; ``purpose``:
      when to take the method; ``cost``: of a point, besides the distances.
    - ``target``: what rows have as label, "label" or "number". ``players``: who is valued, "rows" or "owners".
    - ``self_validates``: whether every training row is always a validation point too.
    - ``score``: a linear function from mean values to scores.
    - ``approximates``: the method that this one approximates; the audit measures how well.
    These take parameters as given (None stands for left out) or as plain data:
    - ``asks``: which of "owners", "weights", "losses" and "owned" (rows that are in every coalition) the method needs.
    - ``check``: what is wrong with the parameters taken together.
    - ``exact_distances``: whether the method computes with distances, not only with ranks.
    """

    name: str
    parameters: tuple[Parameter, ...]
    formulas: type[P]
    reference: str
    gives: str
    purpose: str
    cost: str
    target: str = "label"
    players: str = "rows"
    asks: Callable[[Mapping[str, Any]], tuple[str, ...]] = _nothing
    check: Callable[[Mapping[str, Any]], list[Problem]] = _no_problems
    exact_distances: Callable[[Mapping[str, Any]], bool] = _never
    self_validates: bool = False
    score: Callable[[Float64s], Float64s] | None = None
    approximates: str | None = None

    # Its name; whether it needs all rows in order; whether bins may rank far rows; whether ties may be averaged.
    kind: ClassVar[str]
    ranks: ClassVar[bool] = True
    bins: ClassVar[bool] = False
    averages_ties: ClassVar[bool] = False
    # Whether results may depend on training rows only through what is released with noise.
    is_private: ClassVar[bool] = False
    # What a private method hides by noise: "counts" of neighbors, or "values"; whether jobs value by the method.
    hides: ClassVar[str] = ""
    in_jobs: ClassVar[bool] = True
    # Whether it compares rows with points by a metric; whether values add up point by point. Only then is there a
    # standard error, and only then can points come later. Whether it values rows that lie in blocks; whether training
    # rows may be the validation rows too, each of which sits out its own game.
    compares: ClassVar[bool] = True
    adds_up: ClassVar[bool] = True
    in_blocks: ClassVar[bool] = True
    sits_out: ClassVar[bool] = True

    @abstractmethod
    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: P,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk."""

    def own_error(self, n_players: int, parameters: P) -> float:
        """Return how far a value of a point with so many rows may be off because of what the method leaves out."""
        return parameters.error(n_players) if n_players else 0.0

    def n_values(self, n_train: int, n_owners: int) -> int:
        """Return the number of values: of owners or of training rows."""
        return n_owners if self.players == "owners" else n_train

    def players_of(self, given: Mapping[str, Any]) -> str:  # noqa: ARG002 - most methods leave no choice
        """Return who is valued under these parameters, "rows" or "owners"."""
        return self.players

    def target_of(self, given: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Return what rows have as label under these parameters, "label" or "number"."""
        return self.target

    @property
    def has_groups(self) -> bool:
        """Whether validation rows may count differently in a job; a private release counts all alike."""
        return self.adds_up and self.score is None and not self.is_private

    def compares_by(self, given: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Return whether rows are compared with points by the metric under these parameters."""
        return self.compares

    def bounds(self, given: Mapping[str, Any]) -> bool | None:  # noqa: ARG002
        """Return whether values come with a bound of their error; None: if it is asked for."""
        return None

    def n_asked(self, n_players: int, parameters: P) -> int:  # noqa: ARG002
        """Return how many nearest rows of a point the method needs; all rows, unless a kind overrides this."""
        return n_players

    def settled_parameters(
        self,
        train: TrainArrays,  # noqa: ARG002
        points: ChunkArrays,  # noqa: ARG002
        options: RankingOptions,  # noqa: ARG002
        parameters: P,
    ) -> P:
        """Return the parameters, with those filled in that follow from the tables. Runs in one process."""
        return parameters

    def warnings(self, totals: Partial) -> list[str]:  # noqa: ARG002
        """Return warnings about the totals over all validation points."""
        return []

    def findings(self, totals: Partial) -> list[Finding]:  # noqa: ARG002
        """Return findings about the totals over all validation points, besides the checks of the audit."""
        return []

    def n_ranges(self, n_players: int, parameters: P) -> int:  # noqa: ARG002
        """Return how many ranges of draws tasks play, for so many players; 0 where chunks are valued."""
        return 0

    def n_readings(self, parameters: P) -> int:  # noqa: ARG002
        """Return how often all training rows are read, where that is known before; 0 where chunks or ranges count."""
        return 0

    def asked(self, sizes: JobSizes) -> str:
        """Return in words what the method needs of the training rows of a point."""
        return f"{sizes.ranking} ranking"

    def flops(self, sizes: JobSizes) -> int:
        """Return the number of floating-point operations in matrix products."""
        return 2 * sizes.n_train * sizes.n_features * sizes.n_validation

    def scratch_bytes(self, sizes: JobSizes, rows: int) -> int:
        """Return a bound on the kernel's memory for so many training rows, without these rows themselves."""
        n, bounds = sizes.n_train, sizes.row_bounds
        return memory.scratch_bytes(
            rows, sizes.n_features, ties=sizes.ties, ranking=sizes.ranking, row_bounds=bounds, table_rows=n
        )

    def merging_bytes(self, sizes: JobSizes) -> int:
        """Return the memory of a task that values points from the parts that blocks have reported."""
        n = sizes.n_train
        sorts = self.ranks and sizes.ranking == "sorted"
        return memory.scratch_bytes(n, 0, ties=sizes.ties) if sorts else VALUING_ROW_BYTES * n

    def driver_bytes(self, sizes: JobSizes, *, in_blocks: bool) -> int:  # noqa: ARG002
        """Return the memory that the driver needs for rows of the tables; ``in_blocks``: so training rows lie."""
        return 0

    def exchanged_bytes(self, sizes: JobSizes, n_blocks: int) -> int:
        """Return the bytes that travel between blocks and tasks for one point, without partials (sharded plan)."""
        if self.ranks and sizes.ranking == "sorted":
            return KEY_BYTES * sizes.n_train
        near = near_rows(sizes.n_train, ranking.SORTED_ROWS, sizes.tolerance)
        return n_blocks * (BIN_COUNT_BYTES + BIN_PART_BYTES) + BIN_TABLE_BYTES + near * NEAR_ROW_BYTES

    def points_at_once(self, sizes: JobSizes) -> int:
        """Return how many points the kernel has in memory at the same time."""
        return memory.points_at_once(sizes.n_train, sizes.n_features, ranking=sizes.ranking, tolerance=sizes.tolerance)

    def calibrated(
        self,
        train: TrainArrays,  # noqa: ARG002
        chunk: ChunkArrays,  # noqa: ARG002
        options: RankingOptions,  # noqa: ARG002
        parameters: P,
    ) -> P:
        """Return parameters with which random rows are as much work as real rows."""
        return parameters

    def calibrated_partial(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: P
    ) -> Partial:
        """Return the partial of a chunk after all work that a chunk needs, to measure what a point costs."""
        return self.partial(train, chunk, options, parameters)

    def n_nearest_asked(self, n_players: int, parameters: P) -> int:  # noqa: ARG002
        """Return how many nearest rows the method needs, or 0 if it needs all rows."""
        return 0

    def knows(self, name: str) -> bool:
        """Return whether the method has a parameter of that name."""
        return any(parameter.name == name for parameter in self.parameters)

    def parameter_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the given parameters; None stands for left out."""
        return parameter_problems(self.name, self.parameters, given) or self.check(given)

    def label_problems(self, *, several: bool) -> list[Problem]:  # noqa: ARG002
        """Return what is wrong with the labels; ``several``: a row may have several labels."""
        return []

    def size_problems(self, n_players: int, parameters: P) -> list[Problem]:  # noqa: ARG002
        """Return what is wrong with the parameters if so many rows play."""
        return []

    def resolved(self, given: Mapping[str, Any], n_classes: int) -> P:
        """Return all parameters: the given value, else the default, else what follows from the inputs."""
        return self.formulas(**resolved_parameters(self.parameters, given, n_classes))

    @classmethod
    def of(cls, method: Method[Parameters]) -> Self:
        """Return ``method`` as a method of this kind. Raises: TypeError for a method of another kind."""
        if not isinstance(method, cls):
            raise TypeError(f"expected a method of the kind {cls.__name__}; got {method.name}")
        return method

    def own(self, parameters: Parameters) -> P:
        """Return ``parameters`` as this method's. Raises: TypeError for those of another method."""
        if not isinstance(parameters, self.formulas):
            raise TypeError(f"expected parameters of {self.name}; got {parameters}")
        return parameters


@dataclass(frozen=True, kw_only=True)
class PointMethod(Method[P], ABC):
    """A method that gives each point values of its own, so that the audit can value a few points again."""

    @abstractmethod
    def reference_values(self, point: OrderedPoint, parameters: P) -> Float64s:
        """Return the values by rank, or by owner, from another formula than the kernel's; for the audit."""

    def size(self, point: OrderedPoint, parameters: P) -> float:  # noqa: ARG002
        """Return the largest |U| that any rows of a point can have. Rounding is in proportion to it.

        It is one, the largest share of matches, unless a kind or method overrides this.
        """
        return 1.0


@dataclass(frozen=True, kw_only=True)
class RankedMethod(PointMethod[P], ABC):
    """A method that needs all rows of a point in order; under the sharded plan, blocks exchange their keys."""

    @abstractmethod
    def merged_partial(
        self,
        points: Iterable[MergedPoint],
        columns: TrainColumns,
        n_train: int,
        n_players: int,
        options: RankingOptions,
        parameters: P,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks."""

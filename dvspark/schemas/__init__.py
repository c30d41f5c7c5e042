"""The data dictionary: every table and array that crosses a stage, with type, unit and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
UInt8s = npt.NDArray[np.uint8]
UInt16s = npt.NDArray[np.uint16]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

SCHEMA_VERSION = 1

EPSILON = 2.0**-52


# --- arrays -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainLabels:
    """Labels of the training rows as codes, kept the way they are asked for: which rows carry a code.

    ``codes`` (n_train,) int32 when every row has one label, else None; then ``postings`` (any,) int32 lists
    the train rows of code c, ascending, at ``offsets[c]:offsets[c + 1]``, and ``offsets`` is (n_codes + 1,)
    int64. Codes count from 0 in the order of the index's label vocabulary.
    """

    codes: Int32s | None
    offsets: Int64s | None = None
    postings: Int32s | None = None


@dataclass(frozen=True)
class TrainColumns:
    """What methods may ask of training rows beside embedding and label, in id order; None where the table has it not.

    ``targets`` (n_train,) float64, the numbers to predict; ``weights`` (n_train,) float64, not negative; ``owners``
    (n_train,) int32, places in the ascending owners, of which there are ``n_owners``; ``sampled`` (n_train,) bool, the
    rows that a private release drew.
    """

    targets: Float64s | None = None
    weights: Float64s | None = None
    owners: Int32s | None = None
    n_owners: int = 0
    sampled: Bools | None = None


class Search(Protocol):
    """An approximate search over training rows; the same question gets the same answer."""

    def __call__(self, points: Floats, m: int) -> Int64s:
        """Return rows likely to be among the m nearest of each point, (n_points, m), -1 where fewer were found."""


@dataclass(frozen=True)
class TrainArrays:
    """Training rows as the kernels see them: in id order, which is the order that breaks ties.

    ``x`` (n_train, n_features) float32, or float64 where the input was; ``labels``; ``scale`` (n_train,)
    float64, 1 / |x| under cosine, else None; ``center`` (n_features,) float64, subtracted before products,
    or None (kernels/distances.py); ``squared_norm`` (n_train,) float64 of the scaled, centered rows;
    ``duplicates`` (n_duplicates, 2) int32 pairs (train row, first train row with the same embedding); ``columns``
    what else methods ask for; ``search`` what near rows are looked up with, None where they are found exactly;
    ``longest`` the largest squared norm of the table that these rows are some of, None where they are all.
    """

    x: Floats
    labels: TrainLabels
    scale: Float64s | None
    center: Float64s | None
    squared_norm: Float64s
    duplicates: Int32s
    columns: TrainColumns = field(default_factory=TrainColumns)
    search: Search | None = None
    longest: float | None = None

    @property
    def n_train(self) -> int:
        """Number of training rows."""
        return int(self.x.shape[0])

    @cached_property
    def largest_norm(self) -> float:
        """The largest of the table's squared norms."""
        return float(self.squared_norm.max(initial=0.0)) if self.longest is None else self.longest


@dataclass(frozen=True)
class TrainBlock:
    """Consecutive training rows under the sharded plan; all but the last block are whole tiles.

    ``train`` the rows, numbered from 0 in the block, with the center of all training rows; ``first_row`` the place
    of the first in the whole table. ``guests``: rows whose first copy lies in an earlier block, each at that copy's
    place in its tile, zeros around them, or None; ``guest_pairs`` (n, 2) int32 pairs (row of the block, guest).
    """

    train: TrainArrays
    first_row: int
    guests: TrainArrays | None
    guest_pairs: Int32s


@dataclass(frozen=True)
class ChunkArrays:
    """Validation rows of one chunk, in id order.

    ``x`` (n_validation, n_features), dtype of the training rows; ``labels`` one array of label codes a row,
    without the codes no training row has; ``train_rows`` (n_validation,) int64 under self-validation, the
    training row each point is and which sits out its own game, else None. ``targets`` (n_validation,) float64, the
    numbers to predict, and ``weights`` (n_validation, n_train) float64, of each training row for each point, where
    the method asks for them; ``counts`` (n_validation, 2) int64, how many neighbors match and how many do not, where
    they were counted before, or published with noise.
    """

    x: Floats
    labels: Sequence[Int32s]
    train_rows: Int64s | None = None
    targets: Float64s | None = None
    weights: Float64s | None = None
    counts: Int64s | None = None

    @property
    def n_validation(self) -> int:
        """Number of validation rows."""
        return int(self.x.shape[0])

    def take(self, points: Int64s) -> ChunkArrays:
        """Return some of the points, in the order given."""
        train_rows = None if self.train_rows is None else self.train_rows[points]
        targets = None if self.targets is None else self.targets[points]
        weights = None if self.weights is None else self.weights[points]
        counts = None if self.counts is None else self.counts[points]
        labels = [self.labels[point] for point in points]
        return ChunkArrays(self.x[points], labels, train_rows, targets, weights, counts)


# What a partial counts beside its arrays.
SCALARS = ("n_validation", "utility", "empty_utility", "error_bound", "n_alone", "size")

# Of so many points a partial tells which they are: what the audit values again beside the random ones.
N_WIDEST = 4


@dataclass
class Partial:
    """Sums over some validation points; partials add up, since values are linear in the points.

    ``value`` (n_train,) float64, or (n_owners,) where owners are valued, the sums of values; ``value_squared`` those of
    squared differences from their mean, once `centered`. ``n_validation`` points; ``utility`` and ``empty_utility``,
    the sums of U(N) and U(∅) over the same points, for the audit; ``size``, the sum of each point's largest possible
    |U|, to which rounding is in proportion; ``error_bound``, the sum of each point's certificate; ``row_bounds``
    (n_train,) float64 the same row by row, where it was asked for; ``n_alone`` points without a neighbor within the
    radius; ``widest`` (n, 3) float64, of the N_WIDEST points with the widest certificates, those of 0 aside: it, chunk
    and place in the chunk, the widest first, then by chunk and place, so that no order of additions changes them.
    """

    value: Float64s
    value_squared: Float64s
    n_validation: int = 0
    utility: float = 0.0
    empty_utility: float = 0.0
    error_bound: float = 0.0
    row_bounds: Float64s | None = None
    n_alone: int = 0
    size: float = 0.0
    widest: Float64s = field(default_factory=lambda: np.empty((0, 3)))

    @classmethod
    def zeros(cls, n_train: int, *, row_bounds: bool = False) -> Partial:
        """Return the partial of no validation point."""
        return cls(np.zeros(n_train), np.zeros(n_train), row_bounds=np.zeros(n_train) if row_bounds else None)

    def count(self, utility: float, empty_utility: float, error_bound: float = 0.0, size: float = 1.0) -> None:
        """Add one point's utilities, certificate and size; its values are added apart.

        Points are counted in their order: the number of those before is the point's place, until `placed` tells it.
        """
        if error_bound > 0 and (len(self.widest) < N_WIDEST or error_bound > self.widest[-1, 0]):
            self.widest = _wider(self.widest, np.array([[error_bound, 0.0, self.n_validation]]))
        self.n_validation += 1
        self.utility += utility
        self.empty_utility += empty_utility
        self.error_bound += error_bound
        self.size += size

    def centered(self) -> Partial:
        """Return this partial of a chunk with its sums of squares, as kernels add them up, made those of differences.

        What n equal values leave of rounding is none: differences below 2e-8 √n of the value count as equal.
        """
        if self.n_validation:
            spread = self.value_squared - self.value * (self.value / self.n_validation)
            rounding = 2.0 * EPSILON * self.n_validation * self.value_squared
            self.value_squared = np.where(spread > rounding, spread, 0.0)
        return self

    def count_alike(self, utility: float, empty_utility: float, error_bound: float, size: float = 1.0) -> None:
        """Count a point whose certificate is the same for all rows."""
        self.count(utility, empty_utility, error_bound, size)
        if self.row_bounds is not None and error_bound:
            self.row_bounds += error_bound

    def placed(self, points: Int64s) -> Partial:
        """Return this partial of some of a chunk's points, whose places in it are ``points``, ascending."""
        self.widest = self.widest.copy()
        self.widest[:, 2] = points[self.widest[:, 2].astype(np.int64)]
        return self

    def of_chunk(self, chunk_id: int) -> Partial:
        """Return this partial of a chunk, which has that number."""
        self.widest = self.widest.copy()
        self.widest[:, 1] = chunk_id
        return self

    def plus(self, other: Partial) -> Partial:
        """Return this partial with another one added in place."""
        self.add(other)
        return self

    def minus(self, other: Partial) -> Partial:
        """Return this partial with the points of another one, which are among its own, taken out in place.

        Rounding aside, the partial of the points that are left; float64 additions do not undo themselves. Which of
        these have the widest certificates is not known.
        """
        bounds = None if other.row_bounds is None else -other.row_bounds
        taken = Partial(-other.value, -other.value_squared, row_bounds=bounds)
        for name in SCALARS:
            setattr(taken, name, -getattr(other, name))
        self.widest = taken.widest
        return self.plus(taken)

    def add(self, other: Partial) -> None:
        """Add another partial in place; in float64 the order of additions decides the last bits.

        Raises: ValueError when only one of the two has certificates row by row: their sum would be none.
        """
        if (self.row_bounds is None) != (other.row_bounds is None):
            raise ValueError("row bounds in one partial and none in the other")
        self.value_squared += other.value_squared + self._between(other)
        self.value += other.value
        for name in SCALARS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if self.row_bounds is not None and other.row_bounds is not None:
            self.row_bounds += other.row_bounds
        self.widest = _wider(self.widest, other.widest)

    def _between(self, other: Partial) -> Float64s | float:
        """Return what the means of both add to squared differences; means that rounding may tell apart are equal.

        Source: Chan, Golub & LeVeque, The American Statistician 37(3), 1983, doi:10.1080/00031305.1983.10483115.
        """
        n, n_other = self.n_validation, other.n_validation
        if not n or not n_other or n + n_other == 0:
            return 0.0
        apart, rounding = other.value / n_other, self.value / n
        apart -= rounding
        rounding *= 2.0 * EPSILON * max(abs(n), abs(n_other))
        are_apart = np.abs(apart) > np.abs(rounding, out=rounding)
        apart *= apart
        apart *= n * n_other / (n + n_other)
        apart *= are_apart
        return apart


def _wider(some: Float64s, others: Float64s) -> Float64s:
    """Return the widest of points, as `Partial.widest`."""
    both = np.concatenate([some, others])
    return both[np.lexsort((both[:, 2], both[:, 1], -both[:, 0]))[:N_WIDEST]]


@dataclass(frozen=True)
class Wave:
    """Chunks that stand next to each other, added up: what a ledger keeps, see `dvspark.schemas.pairwise`.

    ``place`` of the first one among all chunks, ascending; ``chunk_rows``, validation rows of each; ``totals``, their
    sum; ``sketches`` (n_chunks, n) float64, a few numbers of each one's partial, see `dvspark.schemas.sketch`.
    """

    place: int
    chunk_rows: dict[int, int]
    totals: Partial
    sketches: Float64s


@dataclass(frozen=True)
class Chunks:
    """Chunks by their order: ``ids`` and ``n_rows`` (n_chunks,) int64, ``sketches`` (n_chunks, n) float64."""

    ids: Int64s
    n_rows: Int64s
    sketches: Float64s

    @classmethod
    def none(cls) -> Chunks:
        """Return no chunks."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)))

    @classmethod
    def of(cls, wave: Wave) -> Chunks:
        """Return those of a wave."""
        ids, n_rows = (np.array([*given], np.int64) for given in (wave.chunk_rows, wave.chunk_rows.values()))
        return cls(ids, n_rows, wave.sketches)

    @classmethod
    def joined(cls, parts: Sequence[Chunks]) -> Chunks:
        """Return the chunks of all parts."""
        if not parts:
            return cls.none()
        ids, n_rows = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "n_rows"))
        return cls(ids, n_rows, np.vstack([part.sketches for part in parts]))


@dataclass(frozen=True)
class Finding:
    """What one check of the audit saw: ``measured`` against ``allowed``; verdict pass, warn or fail."""

    name: str
    verdict: str
    measured: float
    allowed: float
    meaning: str


# --- tables -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark DDL, or ``{id}``, ``{label}``, ``{owner}`` for the input's own type."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table that crosses a stage."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    def ddl(self, **types: str) -> str:
        """Return the Spark DDL string, with the input's own types filled in."""
        return ", ".join(f"`{c.name}` {c.type.format(**types)}" for c in self.columns)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]


ROWS = Table(
    "rows",
    "train or validation rows after reading: three columns under fixed names, owner where there is one",
    (
        Column("id", "{id}", "string or bigint; unique; decides ties"),
        Column("embedding", "{embedding}", "array<float>, array<double>, or binary of float32 little-endian"),
        Column("label", "{label}", "string, bigint, or an array of either (multi-label)"),
    ),
)
TALLY = Table(
    "tally",
    "what one batch of rows looked like to the checks",
    (
        Column("aspect", "string", "name of a problem, or `dimension`"),
        Column("detail", "string", "what it concerns: the dimension; of all rows, the sum of their hashes"),
        Column("n_rows", "bigint", "rows counted"),
        Column("ids", "array<string>", "the first five ids"),
        Column("keys", "binary", "of all rows, where few enough: an Arrow IPC stream without the embeddings"),
    ),
)
PACKED_ROWS = Table(
    "packed_rows",
    "train rows on their way into the index: one row a batch of them, in id order",
    (
        Column("n_rows", "int", "train rows in this batch"),
        Column("x", "binary", "their embeddings, row by row, dtype of the index, little-endian"),
        Column("keys", "binary", "Arrow IPC stream of their id, label and owner"),
    ),
)
PIECES = Table(
    "pieces",
    "packed train rows that a task has written to a file, instead of handing them on",
    (
        Column("name", "string", "the file's name"),
        Column("sha256", "string", "of its content"),
    ),
)
PLACES = Table(
    "places",
    "train rows that a task has written into the index",
    (Column("place", "bigint", "the row's place in id order"),),
)
PARTIALS = Table(
    "partials",
    "one chunk's sums for one block of train rows",
    (
        Column("train_block", "int", "block of train rows, from 0, of engine.reduce.BLOCK_ROWS rows"),
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("n_validation", "bigint", "validation rows of the chunk"),
        Column("utility", "double", "sum of U(N) over them"),
        Column("empty_utility", "double", "sum of U(∅) over them"),
        Column("error_bound", "double", "sum of their certificates: how far a value may be from the exact one"),
        Column("n_alone", "bigint", "how many of them have no neighbor within the radius"),
        Column("size", "double", "sum of the largest |U| they can have"),
        Column("widest", "binary", "float64: certificate, chunk and place in it of the points with the widest ones"),
        Column("value", "binary", "float64 little-endian: sum of values over them, one a train row"),
        Column("value_squared", "binary", "the same of their squared differences from their mean"),
        Column("row_bounds", "binary", "the same of the certificates row by row; null unless asked for"),
    ),
)
TOTALS = Table(
    "totals",
    "the partials of a wave added up in a tree of their places: one row a block of train rows",
    (
        Column("train_block", "int", "block of train rows"),
        Column("chunk_ids", "array<int>", "the chunks in it, ascending"),
        *PARTIALS.columns[2:],
        Column("sketches", "binary", "a few numbers of each chunk's partial: (n_chunks, n) float64"),
    ),
)
VALUES = Table(
    "values",
    "the result, one row a train row; stored under run_id=… , from which readers take `run_id`",
    (
        Column("run_id", "string", "the run that computed it"),
        Column("id", "{id}", "the train row"),
        Column("value", "double", "its value: share of the utility, mean (or sum) over validation rows"),
        Column("standard_error", "double", "of the value over validation rows; null for a single one, or one game"),
        Column("rank", "bigint", "1 = the most valuable; equal values in id order"),
        Column("label", "{label}", "its label"),
    ),
)
OWNER = Column("owner", "{owner}", "who owns the row, when the input says")
ERROR_BOUND = Column("error_bound", "double", "how far the value may be from the exact one, when asked for")
REJECTED = Table(
    "rejected",
    "rows left out under on_bad_row: reject",
    (
        Column("side", "string", "train or validation"),
        Column("id", "string", "the row's id as text, null if it had none"),
        Column("reason", "string", "every problem of the row"),
    ),
)
PACKED_KEYS = Table("packed_keys", "the same without embeddings", PACKED_ROWS.columns[2:])
BLOCKS = Table(
    "blocks",
    "the blocks of train rows that tasks have written",
    (
        Column("block", "int", "number of the block, from 0, in id order"),
        Column("folder", "string", "name of the folder with its files"),
        Column("n_bytes", "bigint", "size of the files"),
    ),
)
DAMAGE = Table(
    "damage",
    "what is wrong with the files of a block of train rows",
    (
        Column("block", "int", "number of the block"),
        Column("damaged", "array<string>", "names of files that are missing or not what was written"),
    ),
)
PARTS = Table(
    "parts",
    "what one block of train rows has to say about one validation row; arrays are binary, little-endian",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("point", "int", "place of the validation row in its chunk"),
        Column("block", "int", "block of train rows"),
        Column("train_row", "bigint", "the train row that sits out the game, null unless it is self-validation"),
        Column("target", "double", "the number to predict, null unless it is regression"),
        Column("counts", "binary", "int64: matching and other neighbors as published, null unless they are"),
        Column("keys", "binary", "float32, one a train row; float64 under precision float64"),
        Column("matches", "binary", "a bit a train row: does it share a label"),
    ),
)
BINNED_PARTS = Table(
    "binned_parts",
    "what one block of train rows has to say about one validation row whose rows it has put into bins",
    (
        *PARTS.columns[:3],
        Column("codes", "string", "file of the codes (bin and match) of the block's rows; null: no bins, nothing else"),
        Column("line", "int", "which of the file's lines is the point's"),
        Column("counts", "binary", "int32: rows of each code"),
        Column("near_rows", "binary", "int32: rows of the block before the bins, ascending"),
        Column("near_keys", "binary", "float32: their keys"),
        Column("near_matches", "binary", "a bit a near row: does it share a label"),
        Column("linked", "binary", "a bit a bin: is it too narrow to tell its rows from those of the next one"),
        Column("low", "double", "up to which float32 key rows are near"),
        Column("limit", "double", "how close float32 keys may be there for their order to be in doubt"),
    ),
)
POINT_VALUES = Table(
    "point_values",
    "what the rows of one block get from one validation row",
    (
        *BINNED_PARTS.columns[:5],
        Column("values", "binary", "float64: value by code; null where bins do not serve the point"),
        Column("bounds", "binary", "float64: certificate by code, where asked for"),
        Column("near_rows", "binary", "int32: rows of the block before the bins, ascending"),
        Column("near_values", "binary", "float64: their values"),
        Column("utility", "double", "U(N)"),
        Column("empty_utility", "double", "U(∅)"),
        Column("error_bound", "double", "the certificate"),
    ),
)
BLOCK_SUMS = Table(
    "block_sums",
    "one chunk's sums for the rows of one block",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("block", "int", "block of train rows"),
        Column("failed", "array<int>", "places in the chunk of validation rows that bins do not serve, not summed"),
        *PARTIALS.columns[2:],
    ),
)
NEAR_PARTS = Table(
    "near_parts",
    "the rows of one block that may be among the nearest of one validation row; arrays are binary, little-endian",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("point", "int", "place of the validation row in its chunk"),
        Column("block", "int", "block of train rows"),
        Column("n_matches", "bigint", "rows of the block that share a label with it and play"),
        Column("rows", "binary", "int64: places of the near rows in the whole table"),
        Column("keys", "binary", "float64: their exact keys"),
        Column("matches", "binary", "a bit a near row: does it share a label"),
    ),
)
NEAR_VALUED = Table(
    "near_valued",
    "a chunk whose values are in a file beside it",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("file", "string", "name of the file with what rows get"),
        *PARTIALS.columns[2:9],
    ),
)
COUNTS = Table(
    "counts",
    "how many rows of one block of train rows are within the radius of each row of a chunk",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("block", "int", "block of train rows"),
        Column("counts", "binary", "int64, two a validation row: neighbors that match it, and others"),
    ),
)
CHUNK_SIZES = Table(
    "chunk_sizes",
    "validation rows of each chunk in one batch of them",
    (Column("chunk_id", "int", "the chunk"), Column("n_rows", "bigint", "its rows here")),
)
NEIGHBOR_COUNTS = Table(
    "neighbor_counts",
    "how many train rows are within the radius of each validation row",
    (
        Column("id", "{id}", "the validation row"),
        Column("n_matches", "bigint", "train rows within the radius that share a label with it"),
        Column("n_others", "bigint", "the other train rows within the radius"),
    ),
)
GRADIENT_SUMS = Table(
    "gradient_sums",
    "what one task, or all of them, added up of the gradients of one game, exact: see kernels.exact_sums",
    (
        Column("by", "{label}", "the class whose rows are one game; 0 where all rows are"),
        Column("part", "string", "rows: their number; total: their sum; squares: the sum of their squared lengths"),
        Column("level", "int", "the unit is 2^(24 level)"),
        Column("counts", "binary", "int64 little-endian: units, one a number of the sum"),
    ),
)
GRADIENT_VALUES = Table(
    "gradient_values",
    "the values of gradients, one row a row that was given",
    (
        Column("id", "{id}", "the row"),
        Column("by", "{label}", "the class whose rows are one game; only where one was given"),
        Column("value", "double", "its share of the game's utility"),
    ),
)
VALIDATION_ROWS = Table(
    "validation_rows",
    "the validation rows of a run; stored under run_id=…, for runs that add some or take some away",
    (
        Column("id", "{id}", "the validation row"),
        Column("row_hash", "bigint", "Spark's xxhash64 of its id, embedding and label"),
    ),
)
NEIGHBORS = Table(
    "neighbors",
    "the validation rows nearest to some train rows, for the report",
    (
        Column("train_row", "bigint", "position of the train row in id order"),
        Column("distance", "double", "in the run's metric"),
        Column("validation_id", "string", "id of the validation row as text"),
        Column("validation_label", "{label}", "its label"),
    ),
)


@dataclass(frozen=True)
class Contributors:
    """What `functions.top_contributors` yields for a validation point: its most and least helpful rows."""

    ddl: str = field(default="array<struct<id: {id}, value: double>>")

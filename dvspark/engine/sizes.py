"""Sizes: what a plan depends on, and what it takes: bytes of the index, of a worker, and between tasks."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels import nearest, radius
from dvspark.kernels.bins import near_rows
from dvspark.kernels.memory import scratch_bytes
from dvspark.kernels.ranking import SORTED_ROWS
from dvspark.methods.options import ValueOptions
from dvspark.methods.search_index import search_bytes

# Beside the embeddings an index holds norm, scale, label code, id and offsets of a row.
KEY_BYTES = 64

# What travels: a partial's value and squared value of a train row, and its certificate where rows have their own;
# under the sharded plan, of a validation point, the counts of a block's 8,192 bins, of matches in them and of rows in
# doubt, the two tables of values that come back, the near rows with id, distance, match and value, or the float32
# distances of all rows. Of methods that do not rank all rows: a block's two counts of neighbors, or of each of its
# nearest rows place, key and match, and place and value of those that every block reads.
PARTIAL_ROW_BYTES = 16
ROW_BOUND_BYTES = 8
BIN_COUNT_BYTES = 2**17
BIN_TABLE_BYTES = 2**17
NEAR_ROW_BYTES = 20
DISTANCE_BYTES = 4
NEIGHBOR_COUNT_BYTES = 16
NEAREST_ROW_BYTES = 17 + 16

# A `sums` method multiplies rows with the head's weights twice, with residuals and with a direction: so often for each
# class, whose number is not known here.
SUMS_PRODUCTS = 4

# Where the sharded plan values points without all distances: under the binned ranking a method's weights and their sums
# take 64; the audit's reference, which ranks one point by all its float64 distances, took 106 in
# `tests/bench/sharded.py`.
VALUING_ROW_BYTES = 112


@dataclass(frozen=True)
class Sizes:
    """What a plan depends on; ``ranking`` is sorted or binned, resolved; ``row_bounds`` as in `schemas.Partial`.

    ``search_bytes``: of one row in an approximate index.
    ``needs`` is the method's: "ranking", "radius", "sums", or "nearest", so many rows then as ``n_nearest`` says.
    """

    n_train: int
    n_validation: int
    n_features: int
    dtype: str = "float32"
    ties: str = "id"
    ranking: str = "sorted"
    row_bounds: bool = False
    tolerance: float = 1e-8
    search_bytes: int = 0
    needs: str = "ranking"
    n_nearest: int = 0

    @classmethod
    def of(cls, options: ValueOptions, *, n_train: int, n_validation: int, n_features: int, dtype: str) -> Sizes:
        """Return the sizes of a run with these options.

        Raises: ConfigError for parameters that so few rows have no use for.
        """
        method, n_players = options.declaration, n_train - options.self_validation
        parameters = options.resolved(n_classes=1)  # no size depends on their number
        return cls(
            n_train=n_train,
            n_validation=n_validation,
            n_features=n_features,
            dtype=dtype,
            ties=options.ties,
            ranking=options.ranking_for(n_train),
            row_bounds=options.error_bound,
            tolerance=float(options.tolerance),
            search_bytes=search_bytes(options.index, options.metric, n_features),
            needs=method.needs,
            n_nearest=method.n_asked(n_players, parameters) if method.needs == "nearest" else 0,
        )

    @property
    def sorts(self) -> bool:
        """Whether all rows of a point are sorted."""
        return self.needs == "ranking" and self.ranking == "sorted"

    @property
    def asked(self) -> str:
        """What is asked of the training rows of a point, in words."""
        asked = {"radius": "rows within a radius", "sums": "sums", "nearest": f"{self.n_nearest:,} nearest rows"}
        return asked.get(self.needs, f"{self.ranking} ranking")

    @property
    def item_bytes(self) -> int:
        """Bytes of one number of an embedding."""
        return 8 if self.dtype == "float64" else 4

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the index, about."""
        return self.n_features * self.item_bytes + KEY_BYTES + self.search_bytes

    @property
    def index_bytes(self) -> int:
        """Bytes of the index, about."""
        return self.n_train * self.row_bytes


def worker_bytes(sizes: Sizes, name: str, block_rows: int, chunk_rows: int) -> int:
    """Return a bound on the memory of one Python worker beside what it maps."""
    scratch = _scratch_bytes(sizes, block_rows) + chunk_rows * sizes.n_features * sizes.item_bytes
    if name == "replicated" or sizes.needs == "sums":
        return scratch
    # What values points has no block: it needs all distances of one point, or the weights of all ranks.
    valuing = scratch_bytes(sizes.n_train, 0, ties=sizes.ties) if sizes.sorts else VALUING_ROW_BYTES * sizes.n_train
    return max(scratch, valuing)


def _scratch_bytes(sizes: Sizes, rows: int) -> int:
    """Return a bound on the kernel's memory beside so many of the training rows."""
    if sizes.needs == "sums":
        return 0  # the driver alone works, see `dvspark.sums`
    if sizes.needs == "radius":
        return radius.scratch_bytes(rows, sizes.n_features)
    if sizes.needs == "nearest":
        return nearest.scratch_bytes(rows, sizes.n_features, sizes.n_nearest)
    return scratch_bytes(
        rows,
        sizes.n_features,
        ties=sizes.ties,
        ranking=sizes.ranking,
        row_bounds=sizes.row_bounds,
        table_rows=sizes.n_train,
    )


def shuffle_bytes(sizes: Sizes, name: str, n_chunks: int, n_blocks: int) -> int:
    """Return what travels between tasks: the training rows once, and what the plan exchanges."""
    n_train, n_validation = sizes.n_train, sizes.n_validation
    if sizes.needs == "sums":
        return sizes.index_bytes
    partials = n_chunks * n_train * (PARTIAL_ROW_BYTES + ROW_BOUND_BYTES * sizes.row_bounds)
    if name == "replicated":
        return sizes.index_bytes + partials
    if sizes.sorts:
        return sizes.index_bytes + n_validation * n_train * DISTANCE_BYTES
    if sizes.needs == "radius":
        of_point = n_blocks * NEIGHBOR_COUNT_BYTES
    elif sizes.needs == "nearest":
        of_point = n_blocks * sizes.n_nearest * NEAREST_ROW_BYTES
    else:
        near = near_rows(n_train, SORTED_ROWS, sizes.tolerance) * NEAR_ROW_BYTES
        of_point = n_blocks * (BIN_COUNT_BYTES + BIN_TABLE_BYTES) + near
    return sizes.index_bytes + partials + n_validation * of_point

"""Sizes: the numbers on which a plan depends, and the bytes of the index, of a worker, and between tasks."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods import METHODS
from dvspark.methods.base import Method
from dvspark.methods.options import ValueOptions
from dvspark.methods.search_index import search_bytes
from dvspark.methods.sizes import JobSizes

# Beside the embeddings an index holds norm, scale, label code, id and offsets of a row.
BESIDE_BYTES = 64

# Owners where they are not counted yet.
N_OWNERS = 100

# Of a partial travel, for each train row, value and squared value, and the certificate if rows have their own.
PARTIAL_ROW_BYTES = 16
ROW_BOUND_BYTES = 8
# What the plan exchanges is written, read and added up; 1.8 s for ten partials of 1.5 million rows.
EXCHANGE_CORE_SECONDS_PER_BYTE = 1e-8


@dataclass(frozen=True)
class Sizes(JobSizes):
    """The numbers on which a plan depends, and the ``method``."""

    method: Method[Parameters] = METHODS["knn_shapley"]

    @classmethod
    def of(cls, options: ValueOptions, *, n_train: int, n_validation: int, n_features: int, dtype: str) -> Sizes:
        """Return the sizes of a run with these options.

        Raises: ConfigError for parameters that do not fit so few rows.
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
            row_bounds=options.row_bounds,
            tolerance=float(options.tolerance),
            search_bytes=search_bytes(options.index, options.metric, n_features),
            n_nearest=method.n_nearest_asked(n_players, parameters),
            n_ranges=method.n_ranges(n_players if options.players == "rows" else min(n_players, N_OWNERS), parameters),
            n_readings=method.n_readings(parameters),
            method=method,
        )

    @property
    def sorts(self) -> bool:
        """Whether all rows of a point are sorted."""
        return self.method.ranks and self.ranking == "sorted"

    @property
    def asked(self) -> str:
        """What the method asks of the training rows of a point, in words."""
        return self.method.asked(self)

    @property
    def row_bytes(self) -> int:
        """Approximate bytes of one row in the index."""
        return self.n_features * self.item_bytes + BESIDE_BYTES + self.search_bytes

    @property
    def index_bytes(self) -> int:
        """Approximate bytes of the index."""
        return self.n_train * self.row_bytes


def worker_bytes(sizes: Sizes, name: str, block_rows: int, chunk_rows: int) -> int:
    """Return a bound on the memory of one Python worker beside what it maps, under the plan of that ``name``."""
    rows = chunk_rows * sizes.n_features * sizes.item_bytes
    scratch = sizes.method.scratch_bytes(sizes, block_rows) + rows
    # Under the sharded plan, what values points has no block.
    return scratch if name == "replicated" else max(scratch, sizes.method.merging_bytes(sizes))


def shuffle_bytes(sizes: Sizes, name: str, n_chunks: int, n_blocks: int) -> int:
    """Return the bytes that travel between tasks: the training rows once, and what the plan ``name`` exchanges."""
    if not sizes.method.adds_up:
        return sizes.index_bytes
    partials = n_chunks * sizes.n_train * (PARTIAL_ROW_BYTES + ROW_BOUND_BYTES * sizes.row_bounds)
    if name == "replicated":
        return sizes.index_bytes + partials
    exchanged = sizes.n_validation * sizes.method.exchanged_bytes(sizes, n_blocks)
    # Where all keys travel, chunks are valued whole.
    return sizes.index_bytes + exchanged + (0 if sizes.sorts else partials)

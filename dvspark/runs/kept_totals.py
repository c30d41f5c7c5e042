"""Kept totals: what a published run keeps for a change of its validation rows, and by which it is known again.

runs/RUN_ID/totals.npz holds the totals; those of the run whose rows were changed, as a sketch; and a sketch of each
chunk of rows that this run has valued itself, which the change added or took away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.runs.ledger import arrays_of, others, partial_of, read_arrays, write_arrays
from dvspark.schemas import Chunks, Float64s, Partial


@dataclass(frozen=True)
class KeptTotals:
    """Totals, whose sketch is ``before`` plus, or minus where ``sign`` is -1, those of the ``chunks``.

    ``n_chunks``: into how many the rows were cut, some of which may be empty.
    """

    totals: Partial
    chunks: Chunks
    n_chunks: int
    before: Float64s
    sign: int = 1

    def content(self) -> bytes:
        """Return them as the content of a file."""
        of_chunks = {"chunk_ids": self.chunks.ids, "chunk_rows": self.chunks.n_rows, "sketches": self.chunks.sketches}
        more = {"n_chunks": np.array(self.n_chunks), "before": self.before, "sign": np.array(self.sign)}
        return write_arrays({**arrays_of(self.totals), **of_chunks, **more})

    @classmethod
    def read(cls, content: bytes) -> KeptTotals:
        """Return what was written. Raises: ComputeError when the content is another."""
        arrays = read_arrays(content)
        try:
            chunks = Chunks(arrays["chunk_ids"], arrays["chunk_rows"], arrays["sketches"])
            n_chunks, sign = int(arrays["n_chunks"]), int(arrays["sign"])
            return cls(partial_of(arrays), chunks, n_chunks, arrays["before"], sign)
        except (KeyError, ValueError, TypeError) as error:
            raise others(str(error)) from error

    def told(self) -> Float64s:
        """Return the sketch that the totals are to have. Raises: ComputeError when it is of several kinds."""
        try:
            return np.asarray(self.before + self.sign * self.chunks.sketches.sum(axis=0), np.float64)
        except (ValueError, TypeError) as error:
            raise others(str(error)) from error

"""Kept totals: what a published run keeps so that its validation rows can change later, and checks of what was kept.

runs/RUN_ID/totals.npz holds three things: the totals; a sketch of the totals of the parent run, if there was one; and a
sketch of each chunk of rows that this run itself has valued, because a change added or removed them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.runs.ledger import arrays_of, others, partial_of, read_arrays, write_arrays
from dvspark.schemas import Chunks, Float64s, Partial


@dataclass(frozen=True)
class KeptTotals:
    """Totals, whose sketch is ``before`` plus the sketches of the ``chunks``, or minus them if ``sign`` is -1.

    ``n_chunks`` is the number of chunks into which the rows were cut; some may be empty.
    """

    totals: Partial
    chunks: Chunks
    n_chunks: int
    before: Float64s
    sign: int = 1

    def content(self) -> bytes:
        """Return the totals and sketches as the content of a file."""
        of_chunks = {"chunk_ids": self.chunks.ids, "chunk_rows": self.chunks.n_rows, "sketches": self.chunks.sketches}
        more = {"n_chunks": np.array(self.n_chunks), "before": self.before, "sign": np.array(self.sign)}
        return write_arrays({**arrays_of(self.totals), **of_chunks, **more})

    @classmethod
    def read(cls, content: bytes) -> KeptTotals:
        """Return what `content` wrote. Raises: ComputeError if the content is something else."""
        arrays = read_arrays(content)
        try:
            chunks = Chunks(arrays["chunk_ids"], arrays["chunk_rows"], arrays["sketches"])
            n_chunks, sign = int(arrays["n_chunks"]), int(arrays["sign"])
            return cls(partial_of(arrays), chunks, n_chunks, arrays["before"], sign)
        except (KeyError, ValueError, TypeError) as error:
            raise others(str(error)) from error

    def told(self) -> Float64s:
        """Return the sketch that the totals must have. Raises: ComputeError if sketches have different lengths."""
        try:
            return np.asarray(self.before + self.sign * self.chunks.sketches.sum(axis=0), np.float64)
        except (ValueError, TypeError) as error:
            raise others(str(error)) from error

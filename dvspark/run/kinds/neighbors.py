"""Neighbors: what `radius` methods need before points are valued: the radius, and noisy counts that are kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.engine.tasks import ChunkWork, counts_table
from dvspark.errors import OutputConflictError, Problem, taken_run_id
from dvspark.logs import log_event
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.kinds.radius import RadiusMethod
from dvspark.privacy import Release, private_release
from dvspark.runs.documents import sealed, unsealed
from dvspark.runs.files import Files, read_if_there
from dvspark.schemas import Float64s
from dvspark.schemas.columns import embedding_matrix


@dataclass(frozen=True)
class Keep:
    """Where a release is kept: below private/run_id=…, which owners of rows must not see."""

    files: Files
    run_id: str
    fingerprint: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"private/run_id={self.run_id}/release.json"

    def read(self) -> dict[str, Any] | None:
        """Return the release that an earlier start of the same run drew, or None.

        Raises: OutputConflictError if it belongs to other inputs or options, or is damaged.
        """
        content = read_if_there(self.files, self.name)
        if content is None:
            return None
        kept = unsealed(content)
        if kept is None:
            hint = "put a copy back, or choose another run_id: a new draw spends the budget once more"
            raise OutputConflictError(Problem(self.name, "the release that was drawn", "a damaged file", hint))
        if kept["fingerprint"] != self.fingerprint:
            hint = "choose another run_id: a release is drawn once, and spent"
            raise taken_run_id(self.name, self.fingerprint, f"fingerprint {kept['fingerprint'][:12]}", hint)
        for left in self.files.rivals(self.name):  # too late to choose one of the starts
            self.files.remove_file(left)
        return kept

    def settle(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """Keep a release before its first use and return it, or return the one that another start has kept meanwhile.

        Raises: OutputConflictError if several starts draw at the same time and none can tell which was first.
        """
        written = self.files.write_first(self.name, sealed({"fingerprint": self.fingerprint, **drawn}))
        if (kept := self.read()) is None:
            left = ", ".join(self.files.rivals(self.name)) or "gone by now"
            hint = "start it again; if no other start is running, one was killed: remove its file first"
            got = f"several at once, or what one has left: {left}"
            raise OutputConflictError(Problem(self.name, "one start that draws", got, hint))
        if not written:
            log_event("another start of this run has drawn the noise; the noise drawn here is not used")
        return kept


def automatic_radius(
    method: RadiusMethod, sample: pa.Table, tenth_of: Callable[[pa.Table], Float64s], metric: str, n_train: int
) -> float:
    """Return the radius that follows from a sample of validation rows in `ROWS` format.

    ``tenth_of`` returns distances to the tenth nearest training row. Private methods do not call it.
    """
    z = embedding_matrix(sample["embedding"].combine_chunks(), np.dtype(np.float64))
    tenth = np.empty(0) if method.is_private else tenth_of(sample)
    return method.automatic_radius(tenth, z, metric, n_train)


def released(
    work: ChunkWork,
    n_validation: int,
    counts_of: Callable[[ChunkWork], pa.Table],
    keep: Keep | None,
) -> tuple[Release, bytes | None, pa.Table]:
    """Return the release, the key of its sample if there is one, and `NEIGHBOR_COUNTS` with noise, in id order.

    The noise is drawn here, once, from the operating system's entropy, and kept before it is used. A run that is
    started again uses the kept noise; so do all but the first of several starts at the same time. ``counts_of`` counts
    the neighbors.
    """
    method = PrivateMethod.of(work.method)
    release = method.release(method.own(work.parameters), n_validation)
    kept = None if keep is None else keep.read()
    if kept is None:
        key = secrets.token_bytes(32) if release.sampling_rate < 1 else None
        counts = counts_of(ChunkWork(work.options, work.parameters, key)).sort_by("id").combine_chunks()
        exact = np.stack([counts["n_matches"].to_numpy(), counts["n_others"].to_numpy()], axis=1)
        noisy = private_release(exact.astype(np.int64), release)
        drawn = {
            "release": asdict(release),
            "sample_key": None if key is None else key.hex(),
            "ids": counts["id"].to_pylist(),
            "noisy_counts": noisy.tolist(),
        }
        kept = drawn if keep is None else keep.settle(drawn)
    key = None if kept["sample_key"] is None else bytes.fromhex(kept["sample_key"])
    table = counts_table(pa.chunked_array([kept["ids"]]), np.array(kept["noisy_counts"], np.int64).reshape(-1, 2))
    return Release(**kept["release"]), key, table

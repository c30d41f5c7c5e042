"""Ledger: which waves of a run are done and what they added up to, so that a run that was killed goes on.

ledger/run_id=…/run.json             whose waves these are
ledger/run_id=…/index.json           where its index lies, and the index's digest
ledger/run_id=…/wave-00000.npz       the wave's totals
ledger/run_id=…/wave-00000.json      its chunks, their rows, the sha256 of the totals; a wave without it is not done

What is JSON is sealed: it has a sha256 of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.documents import sealed, unsealed
from dvspark.errors import ComputeError, OutputConflictError, Problem, taken_run_id
from dvspark.logs import log_event
from dvspark.runs.files import Files, write_whole
from dvspark.schemas import SCALARS, Partial


@dataclass(frozen=True)
class KeptIndex:
    """An index: the name of its folder, which is where the run's settings say, and its digest once it is finished."""

    folder: str
    digest: str


@dataclass(frozen=True)
class Ledger:
    """The ledger of one run; ``fingerprint`` is that of its inputs, options and code."""

    files: Files
    run_id: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"ledger/run_id={self.run_id}"

    def begin(self) -> None:
        """Say whose waves these are.

        Raises: OutputConflictError when they are another run's, with both fingerprints.
        """
        name = f"{self.folder}/run.json"
        if self.files.exists(name):
            self.require_own()
        else:
            self._commit(name, sealed({"run_id": self.run_id, "fingerprint": self.fingerprint}))

    def require_own(self) -> None:
        """Refuse a ledger that another run began, or that is gone since the same run, started twice, has ended.

        Raises: OutputConflictError, with both fingerprints.
        """
        where = f"ledger of run_id {self.run_id}"
        try:
            begun = unsealed(self.files.read(f"{self.folder}/run.json"))
        except FileNotFoundError as error:
            hint = "two runs were started at once; the first one stays"
            raise OutputConflictError(Problem(where, "one run at a time", "one that has ended", hint)) from error
        hint = "choose another run_id or output, or pass --force to drop what the other run has done"
        if begun is None:
            raise OutputConflictError(Problem(where, "whose waves these are", "a damaged file run.json", hint))
        if begun["fingerprint"] != self.fingerprint:
            raise taken_run_id(where, self.fingerprint, f"waves of fingerprint {begun['fingerprint'][:12]}", hint)

    def index(self) -> KeptIndex | None:
        """Return the index that the run had begun, if it had; it may be gone or damaged since."""
        name = f"{self.folder}/index.json"
        told = unsealed(self.files.read(name)) if self.files.exists(name) else None
        return None if told is None else KeptIndex(**told)

    def keep_index(self, index: KeptIndex) -> None:
        """Record the index, which the run goes on with if it is killed.

        Raises: OutputConflictError when another run has taken the ledger meanwhile.
        """
        self.require_own()
        self._commit(f"{self.folder}/index.json", sealed(dataclasses.asdict(index)))

    def waves(self) -> Iterator[tuple[dict[int, int], Partial]]:
        """Yield (validation rows of each chunk, totals) of the waves that are done, in order, up to a damaged one."""
        number = 0
        while self.files.exists(f"{self._wave(number)}.json"):
            told = unsealed(self.files.read(f"{self._wave(number)}.json"))
            totals = f"{self._wave(number)}.npz"
            content = self.files.read(totals) if self.files.exists(totals) else b""
            if told is None or digest(content) != told["totals"]:
                log_event(f"ledger: wave {number} is damaged and is done again", wave=number)
                return
            yield {int(chunk): rows for chunk, rows in told["chunk_rows"].items()}, read_totals(content)
            number += 1

    def commit(self, number: int, chunk_rows: dict[int, int], totals: Partial) -> None:
        """Add a wave: its totals staged, renamed, then recorded.

        Raises: OutputConflictError when another run has taken the ledger meanwhile.
        """
        self.require_own()
        content = write_totals(totals)
        told = {"chunk_rows": chunk_rows, "totals": digest(content)}
        self._commit(f"{self._wave(number)}.npz", content)
        self._commit(f"{self._wave(number)}.json", sealed(told))

    def remove(self) -> None:
        """Remove it, as when the run is published."""
        self.files.remove(self.folder)

    def _wave(self, number: int) -> str:
        return f"{self.folder}/wave-{number:05d}"

    def _commit(self, name: str, content: bytes) -> None:
        write_whole(self.files, name, content)


ARRAYS = ("value", "value_squared", "row_bounds")


def write_totals(totals: Partial) -> bytes:
    """Return a partial as the content of a file, 16 bytes a training row; the same bytes for the same bits."""
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(totals, name) for name in ARRAYS}
    arrays |= {name: np.array(getattr(totals, name)) for name in SCALARS}
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                member = io.BytesIO()
                np.save(member, array)
                file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())  # a fixed time, not the clock's
    return content.getvalue()


def digest(content: bytes) -> str:
    """Return the sha256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_totals(content: bytes) -> Partial:
    """Return the partial that was written; objects are refused, not unpickled.

    Raises: ComputeError when the content is another.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            scalars = {name: arrays[name].item() for name in SCALARS}
            return Partial(**{name: arrays[name] for name in ARRAYS if name in arrays}, **scalars)
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        hint = "value the rows again; --force drops what is there"
        raise ComputeError(Problem("totals of a run", "the numbers it wrote", str(error), hint)) from error

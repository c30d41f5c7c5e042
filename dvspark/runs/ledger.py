"""Ledger: which waves of a run are done and their totals, so that a run that was killed can go on.

ledger/run_id=…/run.json             whose waves these are, and which start of the run goes on with them
ledger/run_id=…/index.json           where its index lies, and the index's digest
ledger/run_id=…/wave-00000.npz       the wave's totals, and a few numbers of each of its chunks
ledger/run_id=…/wave-00000.json      its chunks, their rows, the sha256 of the totals; a wave without it is not done
ledger/run_id=…/epochs.json          of values in epochs: how many are done, and the sha256 of what they came to
ledger/run_id=…/epochs-00001.npz     what they came to

Each JSON file is sealed with a sha256 of its own, and says to whom it belongs: run id, fingerprint and number.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dvspark.errors import ComputeError, OutputConflictError, Problem, taken_run_id
from dvspark.logs import log_event
from dvspark.runs.documents import missing_in, read_stored, sealed, unsealed
from dvspark.runs.files import Files, read_if_there, write_whole
from dvspark.schemas import SCALARS, Partial, Wave

LEDGERS = "ledger"
# Fields of the files, besides those that say to whom the file belongs.
BEGUN = {"attempt": str}
INDEX = {"folder": str, "digest": str}
WAVE = {"number": int, "place": int, "chunk_rows": dict, "totals": str}
EPOCHS = {"number": int, "content": str}
# Between two times of writing what goes on changing: this much work is lost if the process is killed.
KEEP_SECONDS = 5.0


@dataclass(frozen=True)
class KeptIndex:
    """An index: the name of its folder, below the place that the settings give, and its digest once it is finished."""

    folder: str
    digest: str


@dataclass(frozen=True)
class Ledger:
    """The ledger of one run; ``fingerprint`` identifies inputs, options and code, ``attempt`` one start of the run."""

    files: Files
    run_id: str
    fingerprint: str
    attempt: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def folder(self) -> str:
        """Name of the ledger's folder."""
        return f"{LEDGERS}/run_id={self.run_id}"

    def begin(self) -> None:
        """Write down whose waves these are, and that this start of the run goes on with them.

        Raises: OutputConflictError if the waves belong to another run; the message has both fingerprints.
        """
        if self.files.exists(f"{self.folder}/run.json"):
            self._begun()
        self._commit("run.json", {"attempt": self.attempt})

    def require_own(self) -> None:
        """Raise OutputConflictError if another run, or another start of this run, has taken the ledger or removed it.

        The message has both fingerprints if they differ.
        """
        if self._begun()["attempt"] != self.attempt:
            where, hint = f"ledger of run_id {self.run_id}", "two runs were started at once; let one of them go on"
            raise OutputConflictError(Problem(where, "one run at a time", "another start that goes on with it", hint))

    def _begun(self) -> dict[str, Any]:
        where = f"ledger of run_id {self.run_id}"
        try:
            begun = unsealed(self.files.read(f"{self.folder}/run.json"))
        except FileNotFoundError as error:
            hint = "two runs were started at once; the first one stays"
            raise OutputConflictError(Problem(where, "one run at a time", "one that has ended", hint)) from error
        hint = "choose another run_id or output, or pass --force to drop what the other run has done"
        if begun is None or missing_in(begun, {"run_id": str, "fingerprint": str, **BEGUN}):
            raise OutputConflictError(Problem(where, "whose waves these are", "a damaged file run.json", hint))
        if begun["fingerprint"] != self.fingerprint or begun["run_id"] != self.run_id:
            whose = "" if begun["run_id"] == self.run_id else f" of run {begun['run_id']}"
            got = f"waves of fingerprint {begun['fingerprint'][:12]}{whose}"
            raise taken_run_id(where, self.fingerprint, got, hint)
        return begun

    def index(self) -> KeptIndex | None:
        """Return the index that the run had begun, or None. The index may be gone or damaged since."""
        told = self._read("index.json", INDEX)
        return None if told is None else KeptIndex(told["folder"], told["digest"])

    def keep_index(self, index: KeptIndex) -> None:
        """Record the index, with which the run goes on if it is killed.

        Raises: OutputConflictError if another run has taken the ledger meanwhile.
        """
        self.require_own()
        self._commit("index.json", dataclasses.asdict(index))

    def waves(self) -> Iterator[Wave]:
        """Yield the finished waves in order, up to one that is damaged or belongs to another run or place."""
        number = n_chunks = 0
        while self.files.exists(f"{self.folder}/{_wave(number)}.json"):
            told = self._read(f"{_wave(number)}.json", WAVE)
            name = f"{self.folder}/{_wave(number)}.npz"
            content = read_if_there(self.files, name) or b""
            if told is None or (told["number"], told["place"], told["totals"]) != (number, n_chunks, digest(content)):
                log_event(f"ledger: wave {number} is damaged or belongs elsewhere; it is computed again", wave=number)
                return
            chunk_rows = {int(chunk): rows for chunk, rows in told["chunk_rows"].items()}
            arrays = read_arrays(content)
            totals = dataclasses.replace(partial_of(arrays), widest=told_array(arrays, "widest"))
            yield Wave(n_chunks, chunk_rows, totals, told_array(arrays, "sketches"))
            number, n_chunks = number + 1, n_chunks + len(chunk_rows)

    def commit(self, number: int, wave: Wave) -> None:
        """Add a wave: its totals are staged, renamed, and then recorded.

        Raises: OutputConflictError if another run has taken the ledger meanwhile.
        """
        self.require_own()
        content = write_arrays({**arrays_of(wave.totals), "widest": wave.totals.widest, "sketches": wave.sketches})
        told = {"number": number, "place": wave.place, "chunk_rows": wave.chunk_rows, "totals": digest(content)}
        write_whole(self.files, f"{self.folder}/{_wave(number)}.npz", content)
        self._commit(f"{_wave(number)}.json", told)

    def epochs(self) -> dict[str, Any] | None:
        """Return what the epochs that are done came to, as `keep_epochs` was given it; None if nothing is kept."""
        told = self._read("epochs.json", EPOCHS)
        if told is None:
            return None
        name = f"{self.folder}/{_epochs(told['number'])}.npz"
        content = read_if_there(self.files, name) or b""
        if digest(content) != told["content"]:
            log_event(f"ledger: {told['number']} epochs are damaged; they are computed again", epochs=told["number"])
            return None
        return read_arrays(content)

    def keep_epochs(self, number: int, arrays: Mapping[str, Any]) -> None:
        """Record what so many epochs have come to, in place of fewer: written beside, then recorded.

        Raises: OutputConflictError if another run has taken the ledger meanwhile.
        """
        self.require_own()
        before, content = self._read("epochs.json", EPOCHS), write_arrays(arrays)
        write_whole(self.files, f"{self.folder}/{_epochs(number)}.npz", content)
        self._commit("epochs.json", {"number": number, "content": digest(content)})
        if before is not None and before["number"] != number:
            self.files.remove_file(f"{self.folder}/{_epochs(before['number'])}.npz")

    def remove(self) -> None:
        """Remove the ledger, as after the run is published."""
        self.files.remove(self.folder)

    def _commit(self, name: str, told: Mapping[str, Any]) -> None:
        whose = {"run_id": self.run_id, "fingerprint": self.fingerprint}
        write_whole(self.files, f"{self.folder}/{name}", sealed({**whose, **told}))

    def _read(self, name: str, kinds: Mapping[str, type]) -> dict[str, Any] | None:
        """Return the content of a file of this run; None if it is absent, damaged, or of another run."""
        told = _told(self.files, f"{self.folder}/{name}", kinds)
        if told is None:
            return None
        own = (told.get("run_id"), told.get("fingerprint")) == (self.run_id, self.fingerprint)
        return told if own else None


def kept_indexes(files: Files, folders: list[str]) -> Iterator[KeptIndex]:
    """Yield the indexes that runs of any options have recorded in their ledgers: ``folders`` below LEDGERS."""
    for folder in folders:
        with suppress(PermissionError):  # a private run of another user
            if (told := _told(files, f"{LEDGERS}/{folder}/index.json", INDEX)) is not None:
                yield KeptIndex(told["folder"], told["digest"])


def _told(files: Files, name: str, kinds: Mapping[str, type]) -> dict[str, Any] | None:
    """Return the content of a file; None if it is absent or damaged."""
    told = unsealed(read_if_there(files, name) or b"")
    return None if told is None or missing_in(told, kinds) else told


def _wave(number: int) -> str:
    return f"wave-{number:05d}"


def _epochs(number: int) -> str:
    return f"epochs-{number:05d}"


ARRAYS = ("value", "value_squared", "row_bounds")


def arrays_of(totals: Partial) -> dict[str, Any]:
    """Return a partial as arrays by name, 16 bytes a training row, or 24 with certificates.

    The points with the widest certificates are left out.
    """
    arrays = {name: getattr(totals, name) for name in ARRAYS if getattr(totals, name) is not None}
    return arrays | {name: np.array(getattr(totals, name)) for name in SCALARS}


def write_arrays(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as the content of a file; equal bits give equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())  # with a fixed time
    return content.getvalue()


def digest(content: bytes) -> str:
    """Return the sha256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_arrays(content: bytes) -> dict[str, Any]:
    """Return the arrays that `write_arrays` wrote. Objects are refused, not unpickled.

    Raises: ComputeError if the content is something else.
    """
    try:
        return read_stored(content)
    except (ValueError, KeyError, TypeError) as error:
        raise others(str(error)) from error


def partial_of(arrays: Mapping[str, Any]) -> Partial:
    """Return the partial whose arrays are in ``arrays``. Raises: ComputeError if they are not."""
    try:
        scalars = {name: arrays[name].item() for name in SCALARS}
        return Partial(**{name: arrays[name] for name in ARRAYS if name in arrays}, **scalars)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise others(str(error)) from error


def told_array(arrays: Mapping[str, Any], name: str) -> Any:
    """Return the array of that name. Raises: ComputeError if there is none."""
    if name not in arrays:
        raise others(f"no {name}")
    return arrays[name]


def others(got: str) -> ComputeError:
    """Return the error for totals that are not as they were written."""
    hint = "value the rows again; --force drops what is there"
    return ComputeError(Problem("totals of a run", "the numbers it wrote", got, hint))

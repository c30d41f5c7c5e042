"""Importing: one given file after the other becomes a file of each table; what is done already stays as it is.

OUTPUT/train/, validation/     the tables, a Parquet file for each given file
OUTPUT/rejected/               the bad lines of each given file, if it has some
OUTPUT/import.json             what was asked for; at the end also what came of it
OUTPUT/_import/                until the end: what files are joined with, and a record of each file that is done
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa

from dvspark.errors import InputError, OutputConflictError, Problem, shown
from dvspark.host.locks import is_at, take
from dvspark.logs import log_event
from dvspark.runs.documents import sealed, unsealed
from dvspark.tables.imports.bad_lines import BadLines
from dvspark.tables.imports.sides import SIDES, SideFiles, Split, repeated_ids

RECORD, WORK, PREPARED = "import.json", "_import", "prepared.json"

Told = dict[str, Any]


class GivenFiles(Protocol):
    """The files of one format. `prepare` is called once an import, `batches` once for each of ``paths``."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files with rows, in order."""

    def settings(self) -> Told:
        """Return all that the result follows from, as plain data."""

    def prepare(self, work: Path, rejected: Path) -> Told:
        """Return what all files share, as plain data; larger things go to the folder ``work``."""

    def schema(self, told: Told) -> pa.Schema:
        """Return the columns; the first is ``id``."""

    def batches(self, number: int, work: Path, told: Told, bad: BadLines, left_out: Counter[str]) -> Iterator[Any]:
        """Yield the rows of a file; set bad lines aside, and count other rows that are left out, by reason."""


def import_tables(given: GivenFiles, output: Path, split: Split, n_workers: int = 1) -> Told:
    """Import all files, or those that are left, and return the record of the whole import.

    Files are imported one after the other, or by so many processes at a time; the result has the same bytes.
    Raises: OutputConflictError for a folder with something else in it, or that another process works on; InputError
    for files that cannot be read, and for ids that two rows have.
    """
    settings = {**given.settings(), "split": asdict(split), "files": [_listed(path) for path in given.paths]}
    settings = json.loads(json.dumps(settings))
    record = _begun(output, settings)
    if "rows" in record and not (output / WORK).exists():
        return record
    with _held(output / WORK):
        record = _begun(output, settings)  # another process may have done it all since
        if "rows" not in record:
            _write(output / RECORD, record)
            record = {**record, **_imported(given, output, split, n_workers)}
            _write(output / RECORD, record)
        # With its lock, while that is held. A process that comes just now makes another one, and finds the record.
        shutil.rmtree(output / WORK, ignore_errors=True)
    return record


def _imported(given: GivenFiles, output: Path, split: Split, n_workers: int) -> Told:
    """Import the files that are left, and return what came of all."""
    work = output / WORK
    told = unsealed(_read(work / PREPARED))
    if told is None:
        told = json.loads(json.dumps(given.prepare(work, output / "rejected")))
        _write(work / PREPARED, told)
    left = [number for number in range(len(given.paths)) if _done(output, number) is None]
    log_event(f"import: {len(given.paths) - len(left)} of {len(given.paths)} files are done")
    if n_workers > 1 and len(left) > 1:
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, spawned, _end_with_parent) as pool:
            for number, n_rows in pool.map(_import_file, *zip(*_tasks(given, output, split, told, left), strict=True)):
                _log(given, number, n_rows)
    else:
        for task in _tasks(given, output, split, told, left):
            _log(given, *_import_file(*task))
    if len(twice := repeated_ids(output)):
        got = f"{len(twice)} in more than one row; the first: {shown(twice[:5].to_pylist())}"
        hint = "make ids unique; is a file there twice?"
        raise InputError(Problem("import", "each id in one row", got, hint))
    return {**_summary(output, len(given.paths)), "prepared": told.get("summary", {})}


def _end_with_parent() -> None:
    """Have a worker end when the import is killed: it would wait for ever, or write where the next import writes."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _tasks(given: GivenFiles, output: Path, split: Split, told: Told, left: list[int]) -> list[tuple[Any, ...]]:
    return [(given, output, split, told, number) for number in left]


def _import_file(given: GivenFiles, output: Path, split: Split, told: Told, number: int) -> tuple[int, int]:
    """Import one file, and return its number and how many rows it gave."""
    path = given.paths[number]
    files = SideFiles(output, f"part-{number:05}.parquet", given.schema(told), split)
    bad, left_out = BadLines(path.name), Counter[str]()
    files.write(given.batches(number, output / WORK, told, bad, left_out))
    bad.write(output / "rejected" / f"part-{number:05}.parquet")
    made = files.publish()
    # With this the file is done: a process that dies before it leaves files that are written again.
    _write(
        _place(output, number), {"file": path.name, **made, "left_out": dict(left_out), "bad_lines": dict(bad.counts)}
    )
    return number, sum(made["rows"].values())


def _log(given: GivenFiles, number: int, n_rows: int) -> None:
    log_event(f"import: {given.paths[number].name}: {n_rows:,} rows", file=given.paths[number].name, rows=n_rows)


def _begun(output: Path, settings: Told) -> Told:
    """Return the record of an import, which is new or has these settings. Raises: OutputConflictError otherwise."""
    found = unsealed(_read(output / RECORD))
    if found is not None:
        if found["settings"] == settings:
            return found
        changed = ", ".join(name for name in settings if settings[name] != found["settings"].get(name)) or "others"
        hint = "give another output, or the words and files of the import that is there"
        raise OutputConflictError(Problem(str(output), "an import of these files and words", f"other {changed}", hint))
    own = (WORK, _staged(output / RECORD).name)  # of an import that begins just now, or was stopped as it began
    others = (one.name for one in output.iterdir() if one.name not in own) if output.exists() else iter(())
    if (inside := next(others, None)) is not None:
        expected, hint = "a folder where nothing is, or an import that was stopped", "give another output"
        raise OutputConflictError(Problem(str(output), expected, f"{inside} in it", hint))
    return {"settings": settings}


@contextmanager
def _held(work: Path) -> Iterator[None]:
    """Hold the import, so that no second process works on it. Raises: OutputConflictError if one does."""
    lock = None
    while lock is None:  # or the process that held it has removed it meanwhile
        work.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = _locked(work / "lock")
    with lock:
        yield


def _locked(path: Path) -> IO[bytes] | None:
    """Return the open file with its lock; None if it is no longer in its place."""
    file = path.open("wb")
    if not take(file):
        file.close()
        work, hint = str(path.parent.parent), "wait for it, or end it"
        raise OutputConflictError(Problem(work, "an import that nobody works on", "one that runs", hint))
    if is_at(file, path):
        return file
    file.close()
    return None


def _place(output: Path, number: int) -> Path:
    return output / WORK / f"{number:05}.json"


def _done(output: Path, number: int) -> Told | None:
    """Return the record of a file that is done."""
    found = unsealed(_read(_place(output, number)))
    are_there = all((output / side / f"part-{number:05}.parquet").exists() for side in SIDES)
    return found if are_there else None


def _summary(output: Path, n_files: int) -> Told:
    """Return what came of all files together, and of each."""
    files = [_done(output, number) or {} for number in range(n_files)]
    added = {name: Counter[str]() for name in ("rows", "left_out", "bad_lines")}
    for file in files:
        for name, counts in added.items():
            counts.update(file[name])
    return {**{name: dict(counts) for name, counts in added.items()}, "of_files": files}


def _listed(path: Path) -> Told:
    try:
        found = path.stat()
    except OSError as error:
        hint = "check the spelling"
        raise InputError(Problem(str(path), "a file", error.strerror or str(error), hint)) from None
    return {"name": path.name, "bytes": found.st_size, "changed": found.st_mtime_ns}


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _write(path: Path, told: Told) -> None:
    """Write a document: whole or not at all."""
    staged = _staged(path)
    staged.write_bytes(sealed(told, indent=1))
    staged.replace(path)


def _staged(path: Path) -> Path:
    return path.with_name(f"_{path.name}.staged")

"""Runs that are killed at any change of a file, and started again with the same or with other options, without Spark.

Pipeline, leases, ledger, totals and spot checks are the true ones; in place of an engine there are a few numbers that
follow from an option. Folders are removed file by file: between any two of them a process may die.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from histories import SPARK, Fault, KilledError, _Valued

from dvspark.audit import checks
from dvspark.config.job import JobConfig
from dvspark.config.sections import OutputConfig
from dvspark.engine import chunks, reduce
from dvspark.errors import AuditError
from dvspark.logs import Stage
from dvspark.run import pipeline, totals
from dvspark.run.checks import spot_checks
from dvspark.run.checks.spot_checks import earlier_waves_findings
from dvspark.run.presenting import presenting
from dvspark.run.totals import add_up
from dvspark.runs.holder import Holder
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Partial, Wave
from dvspark.schemas.pairwise import Pairwise
from dvspark.tables.storage import Storage, open_storage

N_VALUES = 5
# Validation rows of each chunk that has any.
SIZES = {chunk: 1 + chunk % 3 for chunk in (0, 1, 2, 4, 5, 7, 8, 9, 11, 12, 13)}
REFUSED, FAILED = "OutputConflictError", "AuditError"
# Each job is a process of its own, which is gone when it ends; nobody has numbers as high as these.
_pids = itertools.count(2**22 + 1)


def part(option: int, chunk: int) -> Partial:
    rng = np.random.default_rng([option, chunk])
    value = rng.normal(size=N_VALUES)
    return Partial(value, value**2, SIZES[chunk], *rng.random(3))


class Engine:
    """An engine whose chunks take a time of their own, different at each start."""

    def __init__(self, option: int) -> None:
        self.option, self.valued = option, list[int]()

    def value_waves(
        self,
        _chunks: Any,
        sizes: dict[int, int],
        _index: Any,
        _work: Any,
        _report: Any = None,
        n_done: int = 0,
        n_tasks: int = 1,
        cut: Any = None,
    ) -> Iterator[Wave]:
        ids, seed = list(sizes), random.Random(next(_pids))
        for places in cut or chunks.queries(len(ids), n_done, n_tasks):
            for start, end in places:
                parts = [part(self.option, chunk) for chunk in ids[start:end]]
                self.valued += ids[start:end]
                sketches, total = np.stack([reduce.sketch_of(each) for each in parts]), Pairwise()
                for each in parts:
                    total.add(each)
                found = total.total()
                assert found is not None
                yield Wave(start, {chunk: sizes[chunk] for chunk in ids[start:end]}, found, sketches)
            chunks.time.now += seed.choice([1.0, 50.0, 300.0])  # type: ignore[attr-defined]


OPTIONS = SimpleNamespace(row_bounds=False, method="fake", aggregate="mean")
INDEX: Any = SimpleNamespace(n_train=10**6)
WORK: Any = SimpleNamespace(n_values=lambda _index: N_VALUES, options=OPTIONS)


@contextmanager
def engine(option: int) -> Iterator[Engine]:
    """Let `add_up` and spot checks ask this engine."""
    points = SimpleNamespace(chunked=lambda *_: None, chunk_sizes=lambda _: dict(SIZES))
    used, clock = Engine(option), SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    with ExitStack() as stack:
        for module, name, replaced in [
            (totals, "read_hosts", lambda *_: SimpleNamespace(n_tasks=1)),
            (totals, "points_of", lambda _: points),
            (spot_checks, "points_of", lambda _: points),
            (totals, "session_of", lambda _: None),
            (totals, "engine_of", lambda _: used),
            (spot_checks, "engine_of", lambda _: used),
            (chunks, "time", clock),
        ]:
            stack.enter_context(mock.patch.object(module, name, replaced))
        yield used


def alone(option: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the values of a run that nothing happened to."""
    with engine(option):
        return add_up(SPARK, 14, INDEX, WORK, None, Stage("value")).totals.value


def computed(valued: Any, _spread: Any, _spark: Any, _stages: Any, files: Storage, *, with_extremes: bool) -> Any:
    """Do what `pipeline.compute` does with a ledger."""
    ledger: Ledger = valued.ledger(files)
    ledger.begin()
    with engine(valued.option) as used:
        own = add_up(SPARK, 14, INDEX, WORK, ledger, Stage("value"))
        valued.valued = list(used.valued)
        findings = earlier_waves_findings(SPARK, SPARK, WORK, own)
    checks.require(findings, WORK.options)
    if valued.spoiled:
        raise AuditError([])
    values = valued.finalized.table.sort_by("id").set_column(2, "value", [own.totals.value])
    valued.finalized.table = values.select(valued.schema.names).cast(valued.schema)
    return valued


def deleted_by_files(fault: Fault) -> Callable[[Storage, str], None]:
    """Return how a folder is removed by a process that may die between any two files."""
    unlink, rmdir = (fault.guarded(remove, OSError) for remove in (os.unlink, os.rmdir))

    def delete(storage: Storage, folder: str) -> None:
        for place, _, names in os.walk(storage.path(folder), topdown=False):
            for name in names:
                unlink(f"{place}/{name}")
            rmdir(place)

    return delete


@functools.cache
def _config() -> JobConfig:
    tables: dict[str, Any] = {"train": {"path": "t"}, "validation": {"path": "v"}, "output": {"path": "o"}}
    return JobConfig(**tables, report=False)  # a third of a job's time


def job(
    out: Path,
    option: int,
    fault: Fault | None = None,
    *,
    run_id: str = "a",
    force: bool = False,
    spoiled: bool = False,
) -> str:
    """Run a job; return how it ended."""
    fault = fault or Fault()
    config = _config().model_copy(update={"run_id": run_id, "force": force, "output": OutputConfig(path=str(out))})
    valued: Any = _Valued(run_id, option)
    valued.spoiled, process = spoiled, dataclasses.replace(Holder.here(), pid=next(_pids))
    with ExitStack() as stack:
        for name in ("read_tables", "validate_tables"):
            stack.enter_context(mock.patch.object(pipeline, name, return_value=valued))
        stack.enter_context(mock.patch.object(pipeline, "compute", computed))
        stack.enter_context(mock.patch.object(presenting, "run_metrics", str))
        stack.enter_context(mock.patch.object(Holder, "here", return_value=process))
        stack.enter_context(fault.struck())
        stack.enter_context(mock.patch.object(Storage, "_delete", deleted_by_files(fault)))
        try:
            pipeline.run(config, SPARK)
        except KilledError:
            return "killed"
        except Exception as error:
            return type(error).__name__
    return "done"


def values(out: Path, run_id: str = "a") -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(pq.read_table(out / "values" / f"run_id={run_id}").sort_by("id")["value"])


def left(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()} if out.exists() else set()


EXPECTED = {option: alone(option) for option in (1, 2, 3)}


def test_job__that_nothing_happens_to(tmp_path: Path) -> None:
    assert not np.array_equal(EXPECTED[1], EXPECTED[2])
    assert job(tmp_path, 1) == "done"
    np.testing.assert_array_equal(values(tmp_path), EXPECTED[1])
    assert left(tmp_path) == {"runs", "values"}


# What the job was that is killed: one that starts, one that takes the place of another, one that fails its audit.
KILLED: dict[str, Callable[[Path, Fault], str]] = {
    "start": lambda out, fault: job(out, 1, fault),
    "force": lambda out, fault: job(out, 1, fault, force=True),
    "audit": lambda out, fault: job(out, 1, fault, spoiled=True),
    "goes on": lambda out, fault: job(out, 1, fault),
}


def prepared(out: Path, killed: str) -> None:
    assert job(out, 2, run_id="beside") == "done"
    if killed == "force":
        assert job(out, 3) == "done"
    if killed in ("force", "goes on"):  # half done: with --force by other options
        option = 3 if killed == "force" else 1
        assert job(out, option, Fault(16), force=killed == "force") == "killed"


# Killed at each change; answers are lost at some: that is an error, after which a process still cleans up.
@pytest.mark.parametrize(("how", "step"), [("before", 1), ("lost", 4)])
@pytest.mark.parametrize("killed", KILLED)
def test_job__killed_at_any_change_and_started_again_has_the_bits_of_one_left_alone(
    tmp_path: Path, killed: str, how: str, step: int
) -> None:
    at, struck = 0, True
    before = tmp_path / "before"
    prepared(before, killed)
    while struck:
        for option in (1, 2):
            out = tmp_path / f"{at}-{option}"
            shutil.copytree(before, out)
            fault = Fault(at, how)
            ended = KILLED[killed](out, fault)
            struck = fault.count > at
            assert ended == "killed" or how == "lost" or not struck
            again = job(out, option)
            if option == 2 and again == REFUSED:
                again = job(out, option, force=True)
            elif killed == "force" and again == REFUSED:  # what was published before still is
                np.testing.assert_array_equal(values(out), EXPECTED[3])
                again = job(out, option, force=True)
            assert again == "done"
            np.testing.assert_array_equal(values(out), EXPECTED[option])
            np.testing.assert_array_equal(values(out, "beside"), EXPECTED[2])
            assert left(out) == {"runs", "values"}
        at += step
    assert at > 20


def test_job__killed_again_and_again_does_no_wave_twice_but_the_one_that_was_cut(tmp_path: Path) -> None:
    valued, deaths = list[int](), 0
    true = Engine.value_waves

    def seen(self: Engine, *arguments: Any, **named: Any) -> Iterator[Wave]:
        for wave in true(self, *arguments, **named):
            valued.extend(wave.chunk_rows if "n_tasks" not in named else [])  # not what is only checked
            yield wave

    with mock.patch.object(Engine, "value_waves", seen):
        for at in itertools.count(6, 4):
            if (ended := job(tmp_path, 1, Fault(at))) == "done":
                break
            assert ended == "killed"
            deaths += 1
    np.testing.assert_array_equal(values(tmp_path), EXPECTED[1])
    assert deaths > 3
    assert len(valued) < len(SIZES) + deaths * 11


def half_done(out: Path, option: int, run_id: str = "a") -> Path:
    """Leave the ledger of a run that was killed after its first waves; return its folder."""
    fault = Fault()
    committed = 0
    true = Ledger.commit

    def commit(self: Ledger, number: int, wave: Wave) -> None:
        nonlocal committed
        true(self, number, wave)
        committed += 1
        fault.is_dead = committed == 2

    with mock.patch.object(Ledger, "commit", commit):
        assert job(out, option, fault, run_id=run_id) == "killed"
    return out / "ledger" / f"run_id={run_id}"


def test_job__any_file_of_another_ledger_in_its_own_changes_no_bit(tmp_path: Path) -> None:
    others = {
        (option, run_id): half_done(tmp_path / f"{option}{run_id}", option, run_id)
        for option in (1, 2)
        for run_id in "ab"
    }
    names = sorted(path.name for path in others[1, "a"].iterdir())
    assert len(names) == 5
    half = half_done(tmp_path / "half", 1).parent.parent
    for (start, folder), name, target in itertools.product(others.items(), names, names):
        # Files of one name from all others; of other names from one, since nothing tells them apart by their run.
        if (start == (1, "a")) if name == target else (start != (2, "b")):
            continue
        out = tmp_path / f"{start[0]}{start[1]}-{name}-{target}"
        shutil.copytree(half, out)
        mine = out / "ledger" / "run_id=a"
        (mine / target).write_bytes((folder / name).read_bytes())
        again = job(out, 1)
        if target == "run.json":
            assert again == REFUSED
            again = job(out, 1, force=True)
        assert again == "done"
        np.testing.assert_array_equal(values(out), EXPECTED[1])


def test_job__waves_of_other_options_sealed_as_its_own_fail_the_audit(tmp_path: Path) -> None:
    # As one who knows all seals would do it: totals and sketches are those of another option.
    for fake in ("all", "totals"):
        out = tmp_path / fake
        half_done(out, 1)
        mine = Ledger(open_storage(str(out)), "a", "1" * 64)
        mine.begin()
        for number, wave in enumerate(list(mine.waves())):
            found = _wave_of(2, wave)
            mine.commit(number, found if fake == "all" else dataclasses.replace(wave, totals=found.totals))
        assert job(out, 1) == FAILED
        assert left(out) == set()  # such waves are no use to anybody
        assert job(out, 1) == "done"
        np.testing.assert_array_equal(values(out), EXPECTED[1])


def _wave_of(option: int, like: Wave) -> Wave:
    parts, total = [part(option, chunk) for chunk in like.chunk_rows], Pairwise()
    sketches = np.stack([reduce.sketch_of(each) for each in parts])
    for each in parts:
        total.add(copy.deepcopy(each))
    found = total.total()
    assert found is not None
    return dataclasses.replace(like, totals=found, sketches=sketches)

"""After every history of runs in one folder: table = record = the bits of a clean run, and other runs as they were."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from histories import Fault, World, clean
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dvspark.tables.places import recorded_place

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

RUNS = ("a", "a-1", "A")
OTHER = "z"
FORMS = ("parquet", "delta", "iceberg")
OPTIONS = (1, 2, 3)
REFUSED = "OutputConflictError"
CLEAN = {(run_id, option): clean(run_id, option).sort_by("rank").to_pylist() for run_id in (*RUNS, OTHER) for option in (*OPTIONS, 7)}


def state(world: World, run_id: str) -> dict[str, Any]:
    """Return what there is of a run for those who look."""
    return {"record": world.record(run_id), **{form: world.rows(form, run_id) for form in FORMS}}


def check(world: World, run_id: str) -> None:
    """Check that what there is of a run is one run's, whole, and where its record says."""
    found = state(world, run_id)
    record = found.pop("record")
    whole = [rows for (name, _), rows in CLEAN.items() if name == run_id]
    if record is None:  # not published: none, or all of one run
        assert all(rows == [] or rows in whole for rows in found.values())
        return
    place = recorded_place(record)
    assert place is not None
    assert found == {form: CLEAN[run_id, record["option"]] if form == place.format else [] for form in FORMS}


def is_published(world: World, run_id: str, option: int, form: str) -> bool:
    record = world.record(run_id)
    place = None if record is None else recorded_place(record)
    return record is not None and place is not None and (record["option"], place.format) == (option, form)


class Histories(RuleBasedStateMachine):
    """Runs of a few names, options and formats in one folder, none of which may harm another one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.others = dict.fromkeys(FORMS, False)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(run_id=st.sampled_from(RUNS), form=st.sampled_from(FORMS))
    def first(self, run_id: str, form: str) -> None:
        assert self.world.job(run_id, 1, form, Fault(), force=False) == "done"

    @rule(
        run_id=st.sampled_from(RUNS),
        option=st.sampled_from(OPTIONS),
        form=st.sampled_from(FORMS),
        force=st.booleans(),
        at=st.none() | st.integers(0, 25),
        how=st.sampled_from(["before", "after", "lost"]),
        beside=st.none() | st.integers(0, 25),
    )
    def job(self, run_id: str, option: int, form: str, force: bool, at: int | None, how: str, beside: int | None) -> None:
        before = {name: state(self.world, name) for name in RUNS}

        def watch(number: int) -> None:
            values = self.folder / "out" / "values"
            kind = "iceberg" if form == "iceberg" else "delta" if (values / "_delta_log").exists() else "parquet"
            if number == beside and (kind != "parquet" or form == "parquet"):
                self.world.other_writer(kind, OTHER)
                self.others[kind] = True

        fault = Fault(at, how, watch)
        ended = self.world.job(run_id, option, form, fault, force=force)
        after = {name: state(self.world, name) for name in RUNS}
        assert {name: after[name] for name in RUNS if name != run_id} == {n: before[n] for n in RUNS if n != run_id}
        if ended == "done":
            assert is_published(self.world, run_id, option, form)
        elif ended == REFUSED and not fault.count:
            assert after == before
        elif at is None or fault.count <= at:  # nothing struck
            assert ended == REFUSED, ended

    @invariant()
    def everything_that_is_published_is_whole(self) -> None:
        for run_id in RUNS:
            check(self.world, run_id)
        for form, published in self.others.items():
            assert self.world.rows(form, OTHER) == (CLEAN[OTHER, 7] if published else [])


Histories.TestCase.settings = settings(stateful_step_count=4, max_examples=50)
test_histories__of_four_jobs_harm_nothing = Histories.TestCase

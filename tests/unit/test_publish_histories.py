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
from dvspark.tables.values_tables import values_kind

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

RUNS = ("a", "a-1")
OTHER = "z"
FORMS = ("parquet", "delta", "iceberg")
OPTIONS = (1, 2, 3)
REFUSED = "OutputConflictError"
CLEAN = {
    (run_id, option): clean(run_id, option).sort_by("rank").to_pylist()
    for run_id in (*RUNS, OTHER)
    for option in (*OPTIONS, 7)
}


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
    """Runs of two names in one folder, in its own format and others, none of which may harm another one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.others: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(form=st.sampled_from(FORMS))
    def begin(self, form: str) -> None:
        self.form = form
        assert self.world.job("a", 1, form, Fault(), force=False) == "done"

    @rule(run_id=st.sampled_from(RUNS), option=st.sampled_from(OPTIONS), moves=st.booleans(), force=st.booleans())
    def job(self, run_id: str, option: int, moves: bool, force: bool) -> None:
        self.run_job(run_id, option, moves, force, Fault())

    @rule(
        run_id=st.sampled_from(RUNS),
        option=st.sampled_from(OPTIONS),
        moves=st.booleans(),
        at=st.integers(0, 18),
        how=st.sampled_from(["before", "after", "lost"]),
    )
    def struck_job(self, run_id: str, option: int, moves: bool, at: int, how: str) -> None:
        self.run_job(run_id, option, moves, True, Fault(at, how))

    @rule(run_id=st.sampled_from(RUNS), option=st.sampled_from(OPTIONS), beside=st.integers(0, 18))
    def job_beside_another(self, run_id: str, option: int, beside: int) -> None:
        def watch(number: int) -> None:
            kind = values_kind(self.world.storage) if self.form != "iceberg" else self.form
            if number == beside and kind == self.form:
                self.world.other_writer(kind, OTHER)
                self.others.add(kind)

        self.run_job(run_id, option, False, True, Fault(watch=watch))

    def run_job(self, run_id: str, option: int, moves: bool, force: bool, fault: Fault) -> None:
        """Run a job in the folder's format or, if it ``moves``, in another one, and check what it says it has done."""
        form = self.form if not moves else "parquet" if self.form == "iceberg" else "iceberg"
        before = {name: state(self.world, name) for name in RUNS}
        is_same = is_published(self.world, run_id, option, form)
        ended = self.world.job(run_id, option, form, fault, force=force)
        after = {name: state(self.world, name) for name in RUNS}
        others = [name for name in RUNS if name != run_id]
        assert [after[name] for name in others] == [before[name] for name in others]
        if ended == "done":
            assert is_published(self.world, run_id, option, form)
        if fault.at is None or fault.count <= fault.at:  # nothing struck
            may = force or is_same or before[run_id]["record"] is None
            assert ended == ("done" if may else REFUSED)
            assert may or after == before

    @invariant()
    def what_is_published_is_whole(self) -> None:
        for run_id in RUNS:
            check(self.world, run_id)
        for form in FORMS:
            assert self.world.rows(form, OTHER) == (CLEAN[OTHER, 7] if form in self.others else [])


Histories.TestCase.settings = settings(stateful_step_count=4, max_examples=50)
test_histories__of_four_jobs_harm_nothing = Histories.TestCase


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# The restarts: the same job, and one with other options whose values go elsewhere.
@pytest.mark.parametrize("restart", [(2, False, True), (3, True, False)], ids=["same", "other"])
@pytest.mark.parametrize("how", ["before", "lost"])  # killed after one operation is killed before the next
@pytest.mark.parametrize("form", FORMS)
def test_job__struck_at_any_operation_is_repaired_by_the_next(
    tmp_path: Path, form: str, how: str, restart: tuple[int, bool, bool]
) -> None:
    option, moves, force = restart
    other, at, struck = "parquet" if form == "iceberg" else "iceberg", 0, True
    while struck:
        world = World(tmp_path / str(at))
        assert [world.job(name, 1, form, Fault(), force=False) for name in ("a-1", "a")] == ["done"] * 2
        beside = state(world, "a-1")
        fault = Fault(at, how)
        world.job("a", 2, form, fault, force=True)
        struck, at = fault.count > at, at + 1
        check(world, "a")
        had = world.record("a")
        place = other if moves else form
        ended = world.job("a", option, place, Fault(), force=force)
        check(world, "a")
        assert ended == ("done" if force or had is None else REFUSED)
        assert ended == REFUSED or is_published(world, "a", option, place)
        assert state(world, "a-1") == beside
        left = [path.name for path in (tmp_path / str(at - 1) / "out").iterdir()]
        assert ended == REFUSED or set(left) <= {"runs", "values"}
    assert at > 12

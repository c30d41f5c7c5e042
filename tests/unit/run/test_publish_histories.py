"""After every history of runs in one folder: table = record = the bits of a clean run, and other runs as they were."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, write_deltalake
from histories import SCHEMA, Fault, World, clean
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from property_tests import examples

from dvspark.tables.sinks.places import recorded_place
from dvspark.tables.sinks.values_commits import RunKey
from dvspark.tables.sinks.values_tables import values_kind
from dvspark.tables.storage import Storage

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
        before, latest = {name: state(self.world, name) for name in RUNS}, self.world.latest()
        is_same = is_published(self.world, run_id, option, form)
        ended = self.world.job(run_id, option, form, fault, force=force)
        after = {name: state(self.world, name) for name in RUNS}
        others = [name for name in RUNS if name != run_id]
        assert [after[name] for name in others] == [before[name] for name in others]
        if ended == "done":
            assert is_published(self.world, run_id, option, form)
            assert self.world.latest() == run_id or (is_same and not force and self.world.latest() == latest)
        else:
            assert self.world.latest() in (latest, run_id, None)
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


Histories.TestCase.settings = examples(50, stateful_step_count=4)
test_histories__of_four_jobs_harm_nothing = pytest.mark.long(Histories.TestCase)


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


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("force", [False, True])
def test_latest__is_the_last_run_that_was_published_whenever_one_is_killed(
    tmp_path: Path, how: str, force: bool
) -> None:
    at, struck, repaired = 0, True, 0
    while struck:
        world = World(tmp_path / str(at))
        for run_id in ("b", "a") if force else ("a",):
            assert world.job(run_id, 1, "parquet", Fault(), force=False) == "done"
        fault, former = Fault(at, how), world.record("b")
        world.job("b", 1, "parquet", fault, force=force)
        struck, at = fault.count > at, at + 1
        stays = force and world.record("b") == former  # what b has published is older than a
        killed = world.latest()
        assert killed in ("a", "b")
        assert world.record("b") is not None or killed == "a"
        repaired += killed == "a" and world.record("b") is not None and not stays
        assert world.job("b", 1, "parquet", Fault(), force=False) == "done"
        assert world.latest() == ("a" if stays else "b")
    assert repaired > 0


def test_latest__asked_for_again_an_earlier_run_stays_earlier(world: World) -> None:
    for run_id in ("a", "b"):
        assert world.job(run_id, 1, "parquet", Fault(), force=False) == "done"
    file = world.folder / "out" / "runs" / "latest.json"
    before = file.read_bytes()
    for run_id in ("a", "b"):
        assert world.job(run_id, 1, "parquet", Fault(), force=False) == "done"
        assert file.read_bytes() == before
    assert world.job("a", 1, "parquet", Fault(), force=True) == "done"
    assert world.latest() == "a"
    assert world.job("b", 2, "parquet", Fault(), force=False) == REFUSED
    assert world.latest() == "a"


def test_parquet__who_reads_meanwhile_never_finds_a_mixture(world: World) -> None:
    place = world.folder / "out" / "values"
    assert world.job("a", 1, "parquet", Fault(), force=False) == "done"
    assert world.job("b", 1, "parquet", Fault(), force=False) == "done"
    begun, seen = list[tuple[pa.Table, list[Any]]](), list[int]()
    kinds = [CLEAN["a", 1], [], CLEAN["a", 2]]
    others = world.rows("parquet", "b")

    def read(_: int) -> None:
        seen.append(kinds.index(world.rows("parquet", "a")))
        assert world.rows("parquet", "b") == others
        for first, files in begun:  # who has read one file before, and goes on now
            try:
                found = pa.concat_tables([first, *(file.to_table() for file in files)])
            except FileNotFoundError:
                continue  # an error, which tells
            names = [name for name in SCHEMA.names if name != "run_id"]
            rows = found.select(names).sort_by("rank").to_pylist()
            assert [{"run_id": "a", **row} for row in rows] in kinds
        if (place / "run_id=a").exists():
            file, *files = ds.dataset(place / "run_id=a").get_fragments()
            begun.append((file.to_table(), files))

    assert world.job("a", 2, "parquet", Fault(watch=read), force=True) == "done"
    read(0)
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2}


@pytest.mark.parametrize("form", ["delta", "iceberg"])
def test_table__who_reads_meanwhile_finds_the_one_or_the_other(world: World, form: str) -> None:
    assert world.job("a", 1, form, Fault(), force=False) == "done"
    seen = list[int]()

    def read(_: int) -> None:
        seen.append([CLEAN["a", 1], CLEAN["a", 2]].index(world.rows(form, "a")))

    assert world.job("a", 2, form, Fault(watch=read), force=True) == "done"
    read(0)
    assert seen == sorted(seen)
    assert set(seen) == {0, 1}


@pytest.mark.parametrize("form", ["delta", "iceberg"])
def test_table__rows_put_back_by_others_are_not_taken_for_the_last(world: World, form: str) -> None:
    for option, force in ((1, False), (2, True), (1, True)):  # the first commit is of this very run, but not the last
        assert world.job("a", option, form, Fault(), force=force) == "done"
        assert is_published(world, "a", option, form)
        check(world, "a")
    with world.known():
        table = world.table(form)
        table.commit(clean("a", 3), RunKey("a", "3" * 64))  # by whoever
        assert table.written_by("a") == "3" * 64
    assert world.job("a", 1, form, Fault(), force=False) == REFUSED
    assert world.job("a", 1, form, Fault(), force=True) == "done"
    check(world, "a")


def test_table__compacted_by_others_is_still_done(world: World) -> None:
    assert world.job("a", 1, "delta", Fault(), force=False) == "done"
    values = clean("a", 1)
    with world.known():
        table = DeltaTable(world.table("delta").place)
        write_deltalake(table, values.slice(0, 2), mode="overwrite", predicate="run_id = 'a'")
        write_deltalake(table, values.slice(2), mode="append")
        table.optimize.compact()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert world.job("a", 1, "delta", Fault(), force=False) == "done"
    check(world, "a")


def test_table__that_two_output_folders_share_keeps_their_runs_apart(world: World) -> None:
    assert world.job("a", 1, "iceberg", Fault(), force=False) == "done"
    before = state(world, "a")
    assert world.job("a", 2, "iceberg", Fault(), force=False, out="elsewhere") == REFUSED
    assert state(world, "a") == before
    assert world.job("a", 1, "iceberg", Fault(), force=False, out="elsewhere") == "done"  # the same run
    assert state(world, "a") == before


def test_output__that_is_asked_for_elsewhere_is_not_done_already(world: World) -> None:
    assert world.job("a", 1, "parquet", Fault(), force=False) == "done"
    assert world.job("a", 1, "iceberg", Fault(), force=False) == REFUSED
    assert world.job("a", 1, "iceberg", Fault(), force=True) == "done"
    check(world, "a")
    assert not (world.folder / "out" / "values").exists()


def test_record__that_was_edited_is_not_taken_for_the_one_published(world: World) -> None:
    assert world.job("a", 1, "parquet", Fault(), force=False) == "done"
    file = world.folder / "out" / "runs" / "a" / "run.json"
    content = file.read_text()
    assert '"n_validation": 3' in content
    file.write_text(content.replace('"n_validation": 3', '"n_validation": 4'))
    assert world.job("a", 1, "parquet", Fault(), force=False) == REFUSED
    assert world.job("a", 1, "parquet", Fault(), force=True) == "done"
    check(world, "a")


def test_record__of_another_run_is_not_taken_for_ones_own(world: World) -> None:
    for run_id in ("a", "a-1"):
        assert world.job(run_id, 1, "parquet", Fault(), force=False) == "done"
    runs = world.folder / "out" / "runs"
    (runs / "a" / "run.json").write_bytes((runs / "a-1" / "run.json").read_bytes())  # of the same fingerprint
    assert world.job("a", 1, "parquet", Fault(), force=False) == REFUSED


def test_run_id__that_the_store_takes_for_another_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.job("Weekly", 1, "parquet", Fault(), force=False) == "done"
    before = state(world, "Weekly")
    exists = Storage.exists

    def without_case(self: Storage, name: str) -> bool:
        """Say what a disk says that makes no difference of case."""
        folder, _, last = name.rpartition("/")
        place = Path(self.path(folder))
        return exists(self, name) or (
            place.exists() and last.lower() in {found.name.lower() for found in place.iterdir()}
        )

    monkeypatch.setattr(Storage, "exists", without_case)
    for force in (False, True):
        assert world.job("weekly", 2, "parquet", Fault(), force=force) == REFUSED
    assert state(world, "Weekly") == before
    assert world.job("Weekly", 1, "parquet", Fault(), force=False) == "done"

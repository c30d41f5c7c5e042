"""The ledger without Spark: what is kept is read back, what is damaged or another run's is not."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from dvspark.errors import ComputeError, OutputConflictError
from dvspark.runs import ledger as ledger_module
from dvspark.runs.ledger import KeptIndex, Ledger, arrays_of, partial_of, read_arrays, write_arrays
from dvspark.schemas import Partial, Wave
from dvspark.tables.storage import Storage, open_storage


def wave(place: int, *n_rows: int) -> Wave:
    """Return a wave of chunks from a place on, which have the numbers 10, 11, ... and so many rows."""
    rng = np.random.default_rng(place)
    return Wave(
        place, {10 + place + n: rows for n, rows in enumerate(n_rows)}, drawn(place), rng.random((len(n_rows), 4))
    )


def drawn(seed: int, *, bounds: bool = False) -> Partial:
    rng = np.random.default_rng(seed)
    row_bounds = rng.random(7) if bounds else None
    widest = np.array([[1e-9, 10 + seed, 2]])
    return Partial(rng.normal(size=7), rng.random(7), 5, 2.5, 0.5, 1e-9, row_bounds, 3, widest=widest)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


@pytest.mark.parametrize("bounds", [False, True])
def test_totals__come_back_bit_for_bit(bounds: bool) -> None:
    totals = drawn(1, bounds=bounds)
    found = partial_of(read_arrays(write_arrays(arrays_of(totals))))
    for name in ("value", "value_squared", "row_bounds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(totals, name))
    for name in ("n_validation", "utility", "empty_utility", "error_bound", "n_alone"):
        assert getattr(found, name) == getattr(totals, name)
    assert write_arrays(arrays_of(totals)) == write_arrays(arrays_of(found))


def begun(storage: Storage, run_id: str = "run", fingerprint: str = "f" * 64) -> Ledger:
    ledger = Ledger(storage, run_id, fingerprint)
    ledger.begin()
    return ledger


def done(storage: Storage, run_id: str = "run", fingerprint: str = "f" * 64) -> list[dict[int, int]]:
    return [found.chunk_rows for found in Ledger(storage, run_id, fingerprint).waves()]


WAVES = [wave(0, 4, 5), wave(2, 4), wave(3, 7), wave(4, 1, 2, 3)]


def with_waves(storage: Storage, run_id: str = "run", fingerprint: str = "f" * 64) -> Ledger:
    ledger = begun(storage, run_id, fingerprint)
    for number, one in enumerate(WAVES):
        ledger.commit(number, one)
    return ledger


def test_ledger__tells_the_waves_that_were_committed_in_order(storage: Storage) -> None:
    assert list(begun(storage).waves()) == []
    with_waves(storage)
    for found, expected in zip(begun(storage).waves(), WAVES, strict=True):
        assert (found.place, found.chunk_rows) == (expected.place, expected.chunk_rows)
        np.testing.assert_array_equal(found.totals.value, expected.totals.value)
        np.testing.assert_array_equal(found.sketches, expected.sketches)
        np.testing.assert_array_equal(found.totals.widest, expected.totals.widest)


def test_ledger__any_byte_of_a_wave_that_is_changed_ends_what_is_done_there(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / with_waves(storage).folder
    for name in ("wave-00001.npz", "wave-00001.json"):
        content, times = (folder / name).read_bytes(), (folder / name).stat()
        for place in range(0, len(content), 31 if name.endswith("npz") else 1):
            for changed in (content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], content[:place]):
                (folder / name).write_bytes(changed)
                os.utime(folder / name, ns=(times.st_atime_ns, times.st_mtime_ns))
                assert done(storage) == [{10: 4, 11: 5}]
        (folder / name).unlink()
        assert done(storage) == [{10: 4, 11: 5}]
        (folder / name).write_bytes(content)
    assert len(done(storage)) == len(WAVES)


def test_ledger__waves_that_have_changed_places_are_not_done(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / with_waves(storage).folder
    for one, other in itertools.permutations(range(len(WAVES)), 2):
        for ends in (["npz"], ["json"], ["npz", "json"]):
            pairs = [(folder / f"wave-{one:05d}.{end}", folder / f"wave-{other:05d}.{end}") for end in ends]
            for here, there in pairs:
                swap(here, there)
            assert done(storage) == [found.chunk_rows for found in WAVES[: min(one, other)]]
            for here, there in pairs:
                swap(here, there)


def swap(here: Path, there: Path) -> None:
    here.rename(here.with_suffix(".away"))
    there.rename(here)
    here.with_suffix(".away").rename(there)


@pytest.mark.parametrize(("run_id", "fingerprint"), [("other", "e" * 64), ("other", "f" * 64), ("run2", "f" * 64)])
def test_ledger__no_file_of_another_run_is_taken_for_its_own(
    storage: Storage, tmp_path: Path, run_id: str, fingerprint: str
) -> None:
    mine, others = with_waves(storage), with_waves(storage, run_id, fingerprint)
    for ledger in (mine, others):
        ledger.keep_index(KeptIndex(f"dvspark-own-{ledger.run_id}", "d" * 64))
    for file in sorted((tmp_path / others.folder).iterdir()):
        kept = (tmp_path / mine.folder / file.name).read_bytes()
        (tmp_path / mine.folder / file.name).write_bytes(file.read_bytes())
        if file.name == "run.json":
            with pytest.raises(OutputConflictError, match=f"waves of fingerprint {fingerprint[:12]} of run {run_id}"):
                begun(storage)
        elif file.name == "index.json":
            assert mine.index() is None
        elif file.suffix == ".json":
            assert len(done(storage)) == int(file.stem[-1])
        else:  # the same bytes
            assert len(done(storage)) == len(WAVES)
        (tmp_path / mine.folder / file.name).write_bytes(kept)
    whole = sorted((tmp_path / others.folder).glob("wave-*"))
    for file in whole:
        (tmp_path / mine.folder / file.name).write_bytes(file.read_bytes())
    assert done(storage) == []


@pytest.mark.parametrize("name", ["index", "run", "wave-00002"])
def test_ledger__no_file_stands_for_another_one_of_its_run(storage: Storage, tmp_path: Path, name: str) -> None:
    ledger = with_waves(storage)
    ledger.keep_index(KeptIndex("dvspark-own-1", "d" * 64))
    files = {file.stem: file.read_bytes() for file in (tmp_path / ledger.folder).glob("*.json")}
    for other in {"index", "run", "wave-00000"} - {name}:
        (tmp_path / ledger.folder / f"{other}.json").write_bytes(files[name])
        if other == "run":
            with pytest.raises(OutputConflictError, match="a damaged file"):
                begun(storage)
        else:
            assert ledger.index() is None if other == "index" else done(storage) == []
        (tmp_path / ledger.folder / f"{other}.json").write_bytes(files[other])


def test_ledger__of_two_starts_the_later_one_goes_on(storage: Storage) -> None:
    first = begun(storage)
    first.commit(0, WAVES[0])
    second = begun(storage)
    with pytest.raises(OutputConflictError, match="another start"):
        first.commit(1, WAVES[1])
    second.commit(1, WAVES[1])
    assert len(done(storage)) == 2


def test_ledger__a_wave_that_does_not_follow_the_one_before_is_not_done(storage: Storage) -> None:
    ledger = with_waves(storage)
    ledger.commit(1, wave(2, 4, 7))  # longer than it was: what came after it stays behind
    assert [found.place for found in ledger.waves()] == [0, 2]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"folder": 3, "digest": "d"}', b'{"folder": "f"}', b"\xff"])
def test_ledger__tells_where_the_index_lies_unless_that_is_damaged(
    storage: Storage, tmp_path: Path, damage: bytes
) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    assert ledger.index() is None
    for index in (KeptIndex("dvspark-own-1", ""), KeptIndex("dvspark-own-1", "d" * 64)):
        ledger.keep_index(index)
        assert Ledger(storage, "run", "f" * 64).index() == index
    (tmp_path / ledger.folder / "index.json").write_bytes(damage)
    assert ledger.index() is None


def test_ledger__another_run_is_refused_with_both_fingerprints(storage: Storage) -> None:
    first, second = Ledger(storage, "run", "a" * 64), Ledger(storage, "run", "b" * 64)
    first.begin()
    for attempt in (second.begin, lambda: second.commit(0, WAVES[0])):
        with pytest.raises(OutputConflictError) as refused:
            attempt()
        assert "aaaaaaaaaaaa" in str(refused.value)
        assert "bbbbbbbbbbbb" in str(refused.value)
        assert refused.value.exit_code == 4
    first.remove()
    second.begin()


def test_ledger__that_the_same_run_started_twice_has_ended_is_refused(storage: Storage) -> None:
    first, second = (Ledger(storage, "run", "a" * 64) for _ in range(2))
    first.begin()
    second.begin()
    first.remove()
    with pytest.raises(OutputConflictError, match="two runs were started at once"):
        second.commit(0, WAVES[0])
    assert not storage.exists(second.folder)


def test_minus__takes_out_what_plus_added() -> None:
    totals, more = drawn(1, bounds=True), drawn(2, bounds=True)
    back = drawn(1, bounds=True).plus(more).minus(more)
    np.testing.assert_allclose(back.value, totals.value, rtol=0, atol=1e-15)
    np.testing.assert_allclose(back.row_bounds, totals.row_bounds, rtol=0, atol=1e-15)
    assert (back.n_validation, back.n_alone) == (totals.n_validation, totals.n_alone)
    assert back.utility == pytest.approx(totals.utility)


@pytest.mark.parametrize("name", ["widest", "sketches", "value"])
def test_ledger__a_wave_without_one_of_its_arrays_is_refused(storage: Storage, name: str) -> None:
    def without(arrays: dict[str, object]) -> bytes:
        return write_arrays({key: array for key, array in arrays.items() if key != name})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "write_arrays", without)
        ledger = with_waves(storage)
    with pytest.raises(ComputeError, match="totals of a run"):
        list(ledger.waves())

"""The ledger without Spark: what is kept is read back, what is damaged or another run's is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvspark.errors import OutputConflictError
from dvspark.runs.ledger import KeptIndex, Ledger, read_totals, write_totals
from dvspark.schemas import Partial
from dvspark.tables.storage import Storage, open_storage


def drawn(seed: int, *, bounds: bool = False) -> Partial:
    rng = np.random.default_rng(seed)
    row_bounds = rng.random(7) if bounds else None
    return Partial(rng.normal(size=7), rng.random(7), 5, 2.5, 0.5, 1e-9, row_bounds, 3)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


@pytest.mark.parametrize("bounds", [False, True])
def test_totals__come_back_bit_for_bit(bounds: bool) -> None:
    totals = drawn(1, bounds=bounds)
    found = read_totals(write_totals(totals))
    for name in ("value", "value_squared", "row_bounds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(totals, name))
    for name in ("n_validation", "utility", "empty_utility", "error_bound", "n_alone"):
        assert getattr(found, name) == getattr(totals, name)
    assert write_totals(totals) == write_totals(found)


def test_ledger__tells_the_waves_that_were_committed_in_order(storage: Storage) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    assert list(ledger.waves()) == []
    for wave in range(3):
        ledger.commit(wave, {2 * wave: 4, 2 * wave + 1: 5}, drawn(wave))
    again = Ledger(storage, "run", "f" * 64)
    again.begin()
    found = list(again.waves())
    assert [chunk_rows for chunk_rows, _ in found] == [{0: 4, 1: 5}, {2: 4, 3: 5}, {4: 4, 5: 5}]
    for wave, (_, totals) in enumerate(found):
        np.testing.assert_array_equal(totals.value, drawn(wave).value)


def test_ledger__a_damaged_wave_and_all_after_it_are_not_done(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    for wave in range(3):
        ledger.commit(wave, {wave: 4}, drawn(wave))
    damaged = tmp_path / ledger.folder / "wave-00001.npz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert [chunk_rows for chunk_rows, _ in ledger.waves()] == [{0: 4}]


def test_ledger__a_wave_without_its_record_is_not_done(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage, "run", "f" * 64)
    ledger.begin()
    ledger.commit(0, {0: 4}, drawn(0))
    (tmp_path / ledger.folder / "wave-00000.json").unlink()
    assert list(ledger.waves()) == []


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
    for attempt in (second.begin, lambda: second.commit(0, {0: 4}, drawn(0))):
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
        second.commit(0, {0: 4}, drawn(0))
    assert not storage.exists(second.folder)


def test_minus__takes_out_what_plus_added() -> None:
    totals, more = drawn(1, bounds=True), drawn(2, bounds=True)
    back = drawn(1, bounds=True).plus(more).minus(more)
    np.testing.assert_allclose(back.value, totals.value, rtol=0, atol=1e-15)
    np.testing.assert_allclose(back.row_bounds, totals.row_bounds, rtol=0, atol=1e-15)
    assert (back.n_validation, back.n_alone) == (totals.n_validation, totals.n_alone)
    assert back.utility == pytest.approx(totals.utility)

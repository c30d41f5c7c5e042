"""What a run keeps for its changes, without Spark: it is known again, and what was edited or moved is not believed."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dvspark.engine import reduce
from dvspark.errors import ComputeError, ConfigError, InputError
from dvspark.run.change.change import USED, USED_SETTINGS, Parent, parent_record
from dvspark.run.checks import spot_checks
from dvspark.run.checks.spot_checks import parent_findings
from dvspark.runs.documents import sealed
from dvspark.runs.kept_totals import KeptTotals
from dvspark.runs.ledger import arrays_of, write_arrays
from dvspark.schemas import Chunks, Partial
from dvspark.tables.storage import Storage, open_storage

N_VALUES = 30
NUMBERS: Any = SimpleNamespace(n_values=lambda _index: N_VALUES)


def drawn(option: int, chunk: int) -> Partial:
    rng = np.random.default_rng([option, chunk])
    value = rng.normal(size=N_VALUES)
    return Partial(value, value**2, 5, *rng.random(3))


def kept(option: int, sign: int = 1) -> KeptTotals:
    """Return what a run keeps that has added chunks to those of another one, or taken them away."""
    total, chunks = drawn(option, 99), (3, 5, 8)
    for chunk in range(90, 99):
        total.add(drawn(option, chunk))
    before = reduce.sketch_of(total)
    for chunk in chunks:
        total = total.plus(drawn(option, chunk)) if sign == 1 else total.minus(drawn(option, chunk))
    sketches = np.stack([reduce.sketch_of(drawn(option, chunk)) for chunk in chunks])
    return KeptTotals(total, Chunks(np.array(chunks), np.full(len(chunks), 5), sketches), 10, before, sign)


@pytest.mark.parametrize("sign", [1, -1])
def test_kept_totals__come_back_bit_for_bit(sign: int) -> None:
    told = kept(1, sign)
    found = KeptTotals.read(told.content())
    assert found.content() == told.content()
    np.testing.assert_array_equal(found.totals.value, told.totals.value)
    assert (found.n_chunks, found.sign) == (10, sign)


@pytest.mark.parametrize("content", [b"", b"PK", write_arrays(arrays_of(Partial.zeros(3)))])
def test_kept_totals__that_are_others_are_refused(content: bytes) -> None:
    with pytest.raises(ComputeError, match="the numbers it wrote"):
        KeptTotals.read(content)


def finding(
    told: KeptTotals, monkeypatch: pytest.MonkeyPatch, now: int = 1, n_rows: int | None = 5
) -> tuple[str, float]:
    """Return verdict and measure of a change of a run, whose rows have now the values of an option."""
    rows: Any = SimpleNamespace()
    points = SimpleNamespace(chunked=lambda *_: rows, rows_of=lambda *_: rows, n_rows=lambda _: n_rows)
    parent = Parent({"run_id": "first"}, told, rows, "add", None if n_rows is None else rows)

    def again(_rows: Any, _n: int, chunks: Chunks, places: list[int], *_: Any) -> np.ndarray[Any, Any]:
        return np.stack([reduce.sketch_of(drawn(now, int(chunks.ids[place]))) for place in places])

    monkeypatch.setattr(spot_checks, "valued_again", again)
    monkeypatch.setattr(spot_checks, "points_of", lambda _: points)
    (found,) = parent_findings(parent, NUMBERS, NUMBERS)
    return found.verdict, found.measured


@pytest.mark.parametrize("sign", [1, -1])
def test_parent__that_is_as_it_was_passes(monkeypatch: pytest.MonkeyPatch, sign: int) -> None:
    verdict, measured = finding(kept(1, sign), monkeypatch)
    assert (verdict, measured < 1e-12) == ("pass", True)


@pytest.mark.parametrize("n_rows", [None, 0, 4, 6])
def test_parent__whose_rows_are_not_at_hand_is_warned_of(monkeypatch: pytest.MonkeyPatch, n_rows: int | None) -> None:
    assert finding(kept(1), monkeypatch, n_rows=n_rows)[0] == "warn"


def test_parent__of_other_options_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding(kept(2), monkeypatch)[0] == "fail"


@pytest.mark.parametrize("n_rows", [5, None])
def test_parent__with_totals_that_are_not_those_of_its_chunks_fails(
    monkeypatch: pytest.MonkeyPatch, n_rows: int | None
) -> None:
    assert finding(dataclasses.replace(kept(1), totals=kept(2).totals), monkeypatch, n_rows=n_rows)[0] == "fail"


def test_parent__that_claims_to_have_valued_nothing_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told = kept(1)
    nothing = Chunks(told.chunks.ids[:0], told.chunks.n_rows[:0], told.chunks.sketches[:0])
    alone = dataclasses.replace(told, chunks=nothing, before=reduce.sketch_of(told.totals))
    assert finding(alone, monkeypatch)[0] == "warn"


@pytest.fixture
def storage(tmp_path: Any) -> Storage:
    return open_storage(str(tmp_path))


def record(run_id: str = "run") -> dict[str, Any]:
    """Return a record with all that a change asks for."""
    told: dict[str, Any] = {}
    for place, kind in {**USED, **USED_SETTINGS}.items():
        *parts, last = place.split(".")
        here = told
        for part in parts:
            here = here.setdefault(part, {})
        here[last] = kind()
    return {**told, "run_id": run_id, "method": {"name": "knn_shapley", "parameters": {}}}


def test_parent_record__any_byte_that_is_changed_is_refused(storage: Storage) -> None:
    content = sealed(record(), indent=1)
    storage.write("runs/run/run.json", content)
    assert parent_record(storage, "run")["run_id"] == "run"
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        storage.write("runs/run/run.json", changed)
        if changed.split() != content.split():  # a blank between two words means nothing
            with pytest.raises(ConfigError):
                parent_record(storage, "run")


def test_parent_record__in_the_folder_of_another_run_is_refused(storage: Storage) -> None:
    storage.write("runs/other/run.json", sealed(record("run")))
    with pytest.raises(ConfigError, match="that of run run"):
        parent_record(storage, "other")


def of_size(value: float, size: float) -> Partial:
    return Partial(np.full(N_VALUES, value), np.zeros(N_VALUES), 1, size=size)


def parent_of(total: Partial) -> Parent:
    nothing: Any = None
    told = dataclasses.replace(kept(1), totals=total)
    return Parent({}, told, nothing, "remove")


def test_changed__refuses_removed_rows_beside_which_the_others_are_lost_in_rounding() -> None:
    # Regression, one target of 1e9 beside others of about 1: |U| of 1e18, values of 1e9.
    outlier, rest = of_size(1e9, 1e18), of_size(0.3, 1.0)
    with pytest.raises(InputError) as refused:
        parent_of(of_size(0.3, 1.0).plus(outlier)).changed(outlier)
    (problem,) = refused.value.problems
    assert problem.where == "validation rows to remove"
    assert "value the rows that stay at once" in problem.hint
    larger = of_size(1e2, 1e5)
    found = parent_of(of_size(0.3, 1.0).plus(larger)).changed(larger)
    np.testing.assert_allclose(found.value, rest.value, rtol=0, atol=1e-12 * larger.size)
    assert found.size == rest.size

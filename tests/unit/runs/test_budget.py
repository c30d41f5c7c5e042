"""The budget of a private table: what releases come to together, and that no two take the last of it."""

from __future__ import annotations

import math
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import ConfigError, OutputConflictError
from dvspark.privacy import Release, calibrate, calibrate_values, composed_delta, composed_epsilon, gaussian_sigma
from dvspark.privacy.composition import squared_shift
from dvspark.runs.budget import Account
from dvspark.tables.storage import Storage, open_storage

ROWS = ("row", "add_remove")


def release(epsilon: float, n_validation: int = 50, adjacency: str = "add_remove", rows: int | None = None) -> Release:
    unit = ("row", 1) if rows is None else ("owner", rows)
    return calibrate(epsilon, 1e-6, adjacency, 1.0, n_validation, *unit)


# --- what releases come to together -------------------------------------------------------------------------


@pytest.mark.parametrize("epsilons", [(1.0,), (1.0, 1.0), (0.1, 0.5, 2.0), (0.3,) * 10])
def test_composed_epsilon__agrees_with_dp_accounting(epsilons: tuple[float, ...]) -> None:
    accounting = pytest.importorskip("dp_accounting")
    from dp_accounting.pld import PLDAccountant

    releases = [release(epsilon, 10 * (place + 1)) for place, epsilon in enumerate(epsilons)]
    accountant = PLDAccountant()
    for one in releases:
        accountant.compose(accounting.GaussianDpEvent(one.sigma / one.sensitivity))
    # The accountant rounds losses up, to 1e-4 each.
    assert composed_epsilon(releases, 1e-6, *ROWS) == pytest.approx(accountant.get_epsilon(1e-6), abs=3e-4)


@given(n=st.integers(1, 40), epsilon=st.floats(0.05, 5.0))
def test_composed_delta__of_n_alike_is_that_of_a_gaussian_as_wide(n: int, epsilon: float) -> None:
    sigma = gaussian_sigma(epsilon, 1e-6, math.sqrt(n))  # n releases of sensitivity 1 with this sigma are one of √n
    one = Release(epsilon, 1e-6, sigma, 1.0, "add_remove", "", 1.0, 1)
    assert composed_delta([one] * n, epsilon, *ROWS) == pytest.approx(1e-6, rel=1e-8)


@pytest.mark.long
@given(st.lists(st.sampled_from([0.1, 0.4, 1.0, 3.0]), min_size=1, max_size=6), st.randoms())
def test_composed_epsilon__grows_with_each_release_whatever_the_order(epsilons: list[float], order: object) -> None:
    releases = [release(epsilon) for epsilon in epsilons]
    shuffled = releases[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    together = composed_epsilon(releases, 1e-6, *ROWS)
    assert composed_epsilon(shuffled, 1e-6, *ROWS) == pytest.approx(together, rel=1e-9)
    assert max(epsilons) * 0.999 <= together <= sum(epsilons) * (1 + 1e-7)
    assert composed_epsilon(releases[:-1], 1e-6, *ROWS) < together


def test_composed_epsilon__of_one_is_its_own() -> None:
    for one in (release(0.7), release(0.7, adjacency="replace_one"), release(0.7, rows=4)):
        assert composed_epsilon([one], 1e-6, one.unit, one.adjacency) == pytest.approx(0.7, rel=1e-4)
        assert composed_delta([one], 0.7, one.unit, one.adjacency) <= 1e-6


def test_composed_epsilon__other_units_and_adjacencies_are_counted_as_what_they_move() -> None:
    of_rows, of_owners = release(1.0), release(1.0, rows=3)
    assert composed_epsilon([of_rows], 1e-6, "owner", "add_remove") == math.inf
    # A row that changes may leave one cell for another: twice the squared shift.
    twice = replace(of_rows, n_validation=2 * of_rows.n_validation)
    changed = composed_epsilon([of_rows], 1e-6, "row", "replace_one")
    assert changed == pytest.approx(composed_epsilon([twice], 1e-6, *ROWS), rel=1e-9)
    # Owners of three rows move 9 at a point, and a row of theirs at most 2, where it takes another's place.
    assert composed_epsilon([of_owners], 1e-6, *ROWS) < 1.0


@pytest.mark.parametrize("sensitivity", [1e-100, 0.001, 1.0, 50.0, 1e100])
def test_composed_epsilon__of_a_value_is_its_own_whatever_its_sensitivity(sensitivity: float) -> None:
    added, changed = (calibrate_values(1.0, 1e-5, one, sensitivity) for one in ("add_remove", "replace_one"))
    for one in (added, changed):
        assert composed_epsilon([one], 1e-5, "row", one.adjacency) == pytest.approx(1.0, rel=1e-4)
    # A changed row moves a value twice as far as one more or less.
    twice = 1.0 / gaussian_sigma(1.0, 1e-5, 1.0)
    expected = composed_epsilon([Release(1.0, 1e-5, 0.5 / twice, 1.0, "add_remove", "", 1.0, 1)], 1e-5, *ROWS)
    assert composed_epsilon([added], 1e-5, "row", "replace_one") == pytest.approx(expected, rel=1e-4)
    assert composed_epsilon([changed], 1e-5, *ROWS) < 1.0
    assert composed_epsilon([added], 1e-5, "owner", "add_remove") == math.inf


@pytest.mark.parametrize("releases", [release(1.0), None, [release(1.0), "a"], "ab", iter([])])
def test_composed__releases_that_are_none_are_refused(releases: Any) -> None:
    """One release without a list ended in a TypeError."""
    for composed, number in ((composed_delta, 1.0), (composed_epsilon, 1e-5)):
        with pytest.raises(ConfigError, match=r"1\. releases\n +expected: a list of releases"):
            composed(releases, number, *ROWS)


def test_composed_delta__sampled_releases_add_up_by_themselves() -> None:
    sampled = Release(0.5, 1e-7, 3.0, 1.0, "add_remove", "PLD", 0.5, 1)
    assert composed_delta([sampled, sampled], 1.0, *ROWS) == pytest.approx(2e-7)
    assert composed_delta([sampled, sampled], 0.99, *ROWS) == 1.0
    whole = release(1.0)
    assert composed_delta([whole, sampled], 1.6, *ROWS) == pytest.approx(1e-7 + composed_delta([whole], 1.1, *ROWS))
    assert composed_delta([sampled], 1e9, "owner", "add_remove") == 1.0


@pytest.mark.parametrize(("unit", "adjacency"), [("owners", "add_remove"), ("row", "add-remove"), ("", "")])
def test_composed__by_words_that_are_none_is_refused(unit: str, adjacency: str) -> None:
    """A unit that is none counted as a row, which is less than an owner."""
    with pytest.raises(ConfigError, match=r"unit|adjacency"):
        composed_epsilon([release(1.0)], 1e-6, unit, adjacency)
    with pytest.raises(ConfigError, match=r"unit|adjacency"):
        composed_delta([release(1.0)], 1.0, unit, adjacency)


def test_composed__at_what_is_no_epsilon_or_delta_is_refused() -> None:
    for bad in (math.nan, -1.0, "1"):
        with pytest.raises(ConfigError, match="epsilon"):
            composed_delta([release(1.0)], bad, *ROWS)  # type: ignore[arg-type]
    for bad in (math.nan, 0.0, 1.0, -1.0):
        with pytest.raises(ConfigError, match="delta"):
            composed_epsilon([release(1.0)], bad, *ROWS)
    assert composed_delta([], 0.0, *ROWS) == 0.0


# --- the ledger ---------------------------------------------------------------------------------------------


def account(storage: Storage, epsilon: float | None, delta: float = 1e-6) -> Account:
    return Account(storage, "private/budget/table", "the table", epsilon, delta)


def test_account__holds_one_release_of_all_of_it_and_no_other(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "out"))
    table = account(storage, 1.0)
    table.require(release(1.0), "first")
    assert not (tmp_path / "out").exists()
    table.spend(release(1.0), "first")
    table.spend(release(1.0), "first")  # started again
    assert [run for run, _ in table.spent()] == ["first"]
    for small in (release(0.01), release(1.0)):
        with pytest.raises(OutputConflictError, match=r"(?s)epsilon_budget.*at most 1 .*1 releases with epsilon"):
            table.require(small, "second")
        with pytest.raises(OutputConflictError):
            table.spend(small, "second")
    assert len(table.spent()) == 1


def test_account__without_a_limit_counts_for_later_limits(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    for run in "abc":
        account(storage, None).spend(release(1.0), run)
    with pytest.raises(OutputConflictError, match="3 releases"):
        account(storage, 1.5).spend(release(0.1), "d")
    account(storage, 5.0).spend(release(0.1), "d")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (release(1.0, adjacency="replace_one"), release(0.1)),
        (release(1.0, rows=4), release(0.1)),
        (release(1.0), release(0.1, adjacency="replace_one")),
    ],
    ids=["changed rows", "owners", "rows"],
)
def test_account__keeps_what_earlier_releases_promised_of_other_neighbors(
    first: Release, then: Release, tmp_path: Path
) -> None:
    """A limit that is used up for changed rows, or for owners, is not there again for a row more or less."""
    table = account(open_storage(str(tmp_path)), 1.0)
    table.spend(first, "first")
    with pytest.raises(OutputConflictError, match=r"1 releases with epsilon .*; with this one .* for one (row|owner)"):
        table.require(then, "second")


def test_squared_shift__of_rows_is_the_most_that_they_move_where_owners_rows_are_limited() -> None:
    """By trying all small tables of owners and matches at one point, where the first row of an owner counts."""

    def counts(rows: tuple) -> list[int]:
        first = dict(reversed([row for row in rows if row is not None]))
        return [sum(match == one for match in first.values()) for one in (True, False)]

    kinds = [(owner, match) for owner in "ab" for match in (True, False)]
    moved = {"add_remove": 0, "replace_one": 0}
    for rows in product([None, *kinds], repeat=4):
        for place, other in product(range(4), [None, *kinds]):
            another = (*rows[:place], other, *rows[place + 1 :])
            adjacency = "replace_one" if None not in (rows[place], other) else "add_remove"
            apart = sum((one - two) ** 2 for one, two in zip(counts(rows), counts(another), strict=True))
            moved[adjacency] = max(moved[adjacency], apart)
    assert moved == {one: squared_shift(release(1.0, rows=1), "row", one) for one in moved}


def test_account__of_many_at_once_takes_no_more_than_there_is(tmp_path: Path) -> None:
    storage, n = open_storage(str(tmp_path)), 6
    three = composed_epsilon([release(1.0)] * 3, 1e-6, *ROWS) * 1.0001
    barrier = Barrier(n)

    def start(run: int) -> bool:
        barrier.wait(60)
        try:
            account(storage, three).spend(release(1.0), str(run))
        except OutputConflictError:
            return False
        return True

    with ThreadPoolExecutor(n) as pool:
        assert sorted(pool.map(start, range(n))) == [False] * 3 + [True] * 3
    assert len(account(storage, three).spent()) == 3


def test_account__is_refused_where_a_release_of_it_is_damaged(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    account(storage, 1.0).spend(release(1.0), "first")
    name = "private/budget/table/00000.json"
    storage.write(name, storage.read(name).replace(b"50", b"51"))
    with pytest.raises(OutputConflictError, match="nobody knows what is spent"):
        account(storage, 9.0).require(release(1.0), "second")


def test_make_private__is_for_its_owner_alone_and_follows_no_link(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    (tmp_path / "private").mkdir(mode=0o777)
    storage.make_private("private")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputConflictError, match="a link, or another user"):
        storage.make_private("planted")

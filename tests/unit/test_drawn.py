"""What `make test` leaves out: cases of a test but the first, and long tests; each commit leaves out others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from drawn import are_drawn, commit_of

REPOSITORY = Path(__file__).parents[2]
ONE_IN = 3
CASES = 300
COMMITS = [f"{number:040x}" for number in range(30)]


@dataclass(frozen=True)
class Named:
    """A test as pytest tells of it."""

    nodeid: str
    is_long: bool = False

    def get_closest_marker(self, name: str) -> object | None:
        return object() if self.is_long and name == "long" else None


MANY = [Named(f"a.py::test_many[{case}]") for case in range(CASES)]
SINGLE = [Named("a.py::test_single"), Named("b.py::test_single")]
LONG = [Named(f"long.py::test_{name}", is_long=True) for name in ("one", "two[0]", "two[1]")]


@pytest.mark.parametrize("commit", COMMITS[:3])
def test_drawn__has_every_test_by_its_first_case_and_about_one_in_n_of_the_others(commit: str) -> None:
    first, *others = are_drawn(MANY, ONE_IN, commit)
    assert first
    assert 0.2 < sum(others) / len(others) < 0.5  # one in three; 0.2 would be five deviations away
    assert all(are_drawn(SINGLE, ONE_IN, commit))


def test_drawn__has_a_long_file_whole_or_not_at_all() -> None:
    found = {tuple(are_drawn(LONG, ONE_IN, commit)) for commit in COMMITS}
    assert found == {(True, True, True), (False, False, False)}


def test_drawn__has_each_case_at_some_commit_and_the_same_cases_at_the_same_commit() -> None:
    each = [are_drawn(MANY + LONG, ONE_IN, commit) for commit in COMMITS]
    assert all(any(case) for case in zip(*each, strict=True))
    assert each == [are_drawn(MANY + LONG, ONE_IN, commit) for commit in COMMITS]
    assert len(set(map(tuple, each))) == len(COMMITS)


def test_drawn__is_everything_by_default() -> None:
    assert all(are_drawn(MANY + SINGLE + LONG, 1, COMMITS[0]))


def test_commit__is_the_one_checked_out_or_none(tmp_path: Path) -> None:
    assert len(commit_of(REPOSITORY)) in (0, 40)  # none in a copy without its history
    assert commit_of(tmp_path) == ""

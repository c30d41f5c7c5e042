"""Property tests try as often as the profile says, and no test draws what nobody can draw again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import settings
from property_tests import FUZZ, USUAL, examples

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(("profile", "times"), [("dev", 1), ("ci", 1), ("fuzz", FUZZ)])
def test_examples__are_as_many_times_the_number_as_the_profile_says(
    profile: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settings._current_profile  # no other way tells it
    try:
        settings.load_profile(profile)
        assert settings().max_examples == times * USUAL
        assert examples(25).max_examples == times * 25
        assert examples(25).derandomize == (profile == "ci")
    finally:
        settings.load_profile(before)


# What a file of tests must not hold, and why.
UNWANTED = {
    r"max_examples\s*=": "does not follow the profile: use property_tests.examples",
    r"default_rng\(\s*\)": "has no seed",
    r"\bnp\.random\.(?!default_rng|Generator|RandomState|SeedSequence)[a-z]+\(": "draws from a state all tests share",
    r"\brandom\.(?:random|choice|randint|shuffle|sample|uniform)\(": "draws from a state all tests share",
}


@pytest.mark.parametrize("unwanted", UNWANTED, ids=UNWANTED.values())
def test_tests__draw_by_seed_and_by_profile(unwanted: str) -> None:
    others = [path for path in TESTS.rglob("*.py") if path.name not in ("property_tests.py", Path(__file__).name)]
    found = [path.name for path in others if re.search(unwanted, path.read_text())]
    assert found == []

"""Extras: a package that is missing, or broken, is told with what installs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dvspark.errors import ConfigError, Problem
from dvspark.extras import import_extra

ASKED = ("ann", "parameter 'index'", "the package")


def refusal(module: str, got: str = "") -> Problem:
    with pytest.raises(ConfigError) as refused:
        import_extra(module, *ASKED, got, ", or leave it out")
    return refused.value.problems[0]


def test_import_extra__gives_the_module() -> None:
    assert import_extra("importlib.resources", *ASKED) is sys.modules["importlib.resources"]


def test_import_extra__what_is_missing_is_told_with_what_installs_it() -> None:
    hint = "pip install 'dvspark[ann]', or leave it out"
    expected = Problem("parameter 'index'", "the package", "it is not installed", hint)
    assert refusal("no_such_package", "it is not installed") == expected
    assert refusal("no_such_package").got == "No module named 'no_such_package'"
    assert refusal("no_such_package.part", "it is not installed") == expected


def test_import_extra__what_is_broken_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text("import what_it_needs")
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("broken_package", "it is not installed").got == "No module named 'what_it_needs'"

"""Words of commands that take no settings."""

from __future__ import annotations

import pytest

from dvspark.cli.declared import COMMANDS, Command, Option
from dvspark.cli.words import own_words
from dvspark.errors import ConfigError

ANY = Command(
    "any",
    "does nothing",
    ("none", "none"),
    ("dvspark any",),
    options=(Option("--output", "folder", "FOLDER", "here"), Option("--force", "flag")),
    operands=("PATH",),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ([], {})),
        (["a"], (["a"], {})),
        (["a=b"], (["a=b"], {})),
        (["--output", "x", "a", "--force"], (["a"], {"--output": "x", "--force": ""})),
        (["--output=x=y"], ([], {"--output": "x=y"})),
        (["--output", "--force"], ([], {"--output": "--force"})),
        (["--force", "--force"], ([], {"--force": ""})),
    ],
)
def test_own_words__are_operands_and_options(words: list[str], expected: tuple[list[str], dict[str, str]]) -> None:
    assert own_words(ANY, words) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output"], "--output FOLDER"),
        (["--force=x"], "no value"),
        (["--outptu", "x"], "did you mean '--output'"),
        (["a", "b"], r"dvspark any \[PATH\]"),
        (["-x"], "an option of dvspark any"),
        (["--output", "x", "--output", "y"], "got: 'x' and 'y'"),
        (["--output=x", "--force", "--output", "x"], "expected: one value"),
    ],
)
def test_own_words__others_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        own_words(ANY, words)


def test_own_words__of_the_demo() -> None:
    assert own_words(COMMANDS["demo"], ["--output", "o"]) == ([], {"--output": "o"})
    with pytest.raises(ConfigError, match="no value"):
        own_words(COMMANDS["demo"], ["--output"])
    with pytest.raises(ConfigError, match="dvspark demo"):
        own_words(COMMANDS["demo"], ["elsewhere"])

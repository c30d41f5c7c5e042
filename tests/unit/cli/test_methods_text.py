"""`dvspark methods`: all that the declarations say, and a refusal of methods that there are not."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli import main
from dvspark.cli.methods_text import PAGE
from dvspark.cli.setting_groups import shown_default
from dvspark.methods import METHODS

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def told(words: list[str], capsys: Any) -> str:
    """Return what a command prints, on one line."""
    assert main(["methods", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return " ".join(out.split())


def test_methods__lists_each_with_what_a_value_is(capsys: Any) -> None:
    text = told([], capsys)
    assert [name for name, method in METHODS.items() if f"{name} {method.gives}" not in text] == []


@pytest.mark.parametrize("name", METHODS)
def test_methods__says_of_one_what_its_declaration_says(name: str, capsys: Any) -> None:
    method, text = METHODS[name], told([name], capsys)
    for said in (method.gives, method.purpose, method.cost, method.reference, f"docs/methods/{name}.md"):
        assert said in text
    parameters = text.split("parameters:")[1]
    for parameter in method.parameters:
        assert parameters.count(f"--{parameter.name} {parameter.form}") == 1
        assert parameter.meaning in parameters
        assert parameter.default is None or f"default: {shown_default(parameter.default)}]" in parameters
    assert method.parameters or parameters.split()[0] == "none"


def test_page__is_where_the_project_says_that_its_documents_are() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert PAGE.startswith(urls["Documentation"].replace("/tree/", "/blob/"))
    assert all((ROOT / PAGE.partition("/main/")[2].format(name=name)).is_file() for name in METHODS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["knn_shaply"], "did you mean 'knn_shapley'"),
        (["a", "b"], "got: a b"),
        (["--all"], "see `dvspark methods --help`"),
    ],
)
def test_methods__other_words_are_refused(words: list[str], said: str, capsys: Any) -> None:
    assert main(["methods", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in json.loads(err)["message"]

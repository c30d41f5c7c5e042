"""The pages of docs/methods: one for each method, alike in form, true to the declarations; what they show is run."""

from __future__ import annotations

import dataclasses
import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from dvspark.config.fields import PARAMETERS
from dvspark.methods import GAMES, METHODS

FOLDER = Path(__file__).parents[3] / "docs" / "methods"
PAGES = {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path.stem != "README"}
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")

HEADINGS = ["Definition", "Formula", "Parameters", "When to use it", "Cost", "Worked case", "Reference"]
MOST_LINES = 90

DECLARED: dict[str, Any] = METHODS

# What pages call a default that depends on something else: what the inputs say, no limit, no other choice.
LEFT_OUT = {"counted", "all", "none", "needed", "mean of the rows"}


def section(name: str, heading: str) -> str:
    """Return the text of one section of a page."""
    text = PAGES[name].read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def parameters_on_page(name: str) -> dict[str, str]:
    """Return the parameters in the page's table with their defaults as written, in order."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section(name, "Parameters"), flags=re.MULTILINE))


def declared_parameters(name: str) -> dict[str, Any]:
    """Return the parameters with their defaults, None where something else decides, in order."""
    if name in GAMES:  # docs/games.md has those that all of them share
        return {each.name: each.default for each in GAMES[name].own_parameters}
    return {each.name: each.default for each in DECLARED[name].parameters}


def index_rows() -> dict[str, list[str]]:
    """Return the rows of the index's table by method: all cells."""
    rows = [line.strip("| ").split(" | ") for line in INDEX.splitlines() if line.startswith("| [")]
    return {re.sub(r"\[(\w+)\].*", r"\1", cells[0]): cells for cells in rows}


def test_pages__are_those_of_the_methods() -> None:
    assert set(PAGES) == set(DECLARED)


def test_index__has_a_line_a_page_with_its_parameters() -> None:
    assert set(index_rows()) == set(PAGES)
    for name, cells in index_rows().items():
        assert cells[0] == f"[{name}]({name}.md)"
        assert re.findall(r"`(\w+)`", cells[2]) == list(parameters_on_page(name))


@pytest.mark.parametrize("name", DECLARED)
def test_index__says_what_the_declaration_says(name: str) -> None:
    method, (_, gives, _, purpose, cost) = DECLARED[name], index_rows()[name]
    assert (gives, purpose, cost) == (method.gives, method.purpose, method.cost)


@pytest.mark.parametrize("name", PAGES)
def test_page__has_its_name_and_the_headings_in_order(name: str) -> None:
    lines = PAGES[name].read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("#")] == [f"# {name}", *(f"## {each}" for each in HEADINGS)]
    assert len(lines) <= MOST_LINES


@pytest.mark.parametrize("name", PAGES)
def test_page__parameters_and_defaults_are_those_declared(name: str) -> None:
    on_page, declared = parameters_on_page(name), declared_parameters(name)
    assert list(on_page) == list(declared)
    for parameter, default in declared.items():
        number = isinstance(default, int | float)
        assert on_page[parameter] in (LEFT_OUT if default is None else {f"{default:g}" if number else default})


@pytest.mark.parametrize("name", PAGES)
def test_page__names_no_parameter_that_the_method_has_not(name: str) -> None:
    named = set(re.findall(r"`(\w+)`", section(name, "Parameters") + section(name, "Formula")))
    declared = DECLARED[name].parameters if name in DECLARED else ()
    known = {word for each in declared for word in (each.name, *each.words)}
    assert named & set(PARAMETERS) <= set(declared_parameters(name)) | known


@pytest.mark.parametrize("name", DECLARED)
def test_page__cites_what_the_declaration_cites(name: str) -> None:
    cited = re.findall(r"doi:[^\s,;]+|arXiv:\d+\.\d+", DECLARED[name].reference)
    assert [each for each in cited if each not in section(name, "Reference")] == []


@pytest.mark.parametrize("name", DECLARED)
def test_page__says_whether_values_sum_to_the_utility(name: str) -> None:
    method = DECLARED[name]
    efficient = method.resolved({}, 2).efficient
    assert ("do not sum to U(N) - U(∅)" in section(name, "Formula").replace("\n", " ")) != efficient


@pytest.mark.parametrize("name", sorted(METHODS.keys() - GAMES.keys()))
def test_formulas__have_the_parameters_declared_and_no_other_default(name: str) -> None:
    method = METHODS[name]
    declared = {each.name: each.default for each in method.parameters}
    fields = dataclasses.fields(method.formulas)
    assert [each.name for each in fields] == list(declared)
    defaults = {each.name: each.default for each in fields if each.default is not dataclasses.MISSING}
    assert defaults == {name: declared[name] for name in defaults}


@pytest.mark.parametrize("name", [*PAGES, "README"])
def test_page__what_it_shows_is_what_comes_out(name: str) -> None:
    path = FOLDER / f"{name}.md"
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(path), module_relative=False, optionflags=options, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted > 0 or name == "README"


@pytest.mark.parametrize("name", DECLARED)
def test_page__worked_case_uses_the_method(name: str) -> None:
    assert f'"{name}"' in section(name, "Worked case")

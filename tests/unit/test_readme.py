"""The documents: their links lead somewhere, their Python runs, their tables say what the code says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from dvspark import errors, schemas
from dvspark.cli import commands
from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import overview
from dvspark.cli.words import own_words
from dvspark.config.fields import PARAMETERS
from dvspark.config.job import JobConfig
from dvspark.config.sources import load_config, parse_overrides
from dvspark.engine.planning.plan import PLANS
from dvspark.engine.replicated.replicated import LARGEST_ARTIFACT_BYTES
from dvspark.host.ending import EXIT_CODES
from dvspark.kernels import memory
from dvspark.kernels.distances.distances import METRICS
from dvspark.kernels.ranking.near_order import ERROR_DEVIATIONS, ERROR_SAMPLE
from dvspark.kernels.ranking.ranking import PRECISIONS, TIES
from dvspark.methods import METHODS
from dvspark.methods.options import AGGREGATES, RANKINGS
from dvspark.tables.sinks.values_schema import OPTIONAL
from dvspark.tables.table_checks import ON_BAD_ROW

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md")
]
DOCUMENTS += sorted(DOCS.rglob("*.md"))
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PYTHON = {
    f"{path.relative_to(ROOT)}, Python block {place + 1}": block
    for path in DOCUMENTS
    for place, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
}
MOST_LINES = 150


def page(name: str) -> str:
    """Return the text of a page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def table(name: str, head: str) -> dict[str, list[str]]:
    """Return the rows of the page's table whose first column is called ``head``, by their first cell."""
    lines = page(name).splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in line.strip("|").split(" | "))
        rows[first.strip("`")] = others
    return rows


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document__links_lead_somewhere(path: Path) -> None:
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def anchors(path: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document__links_into_pages_meet_a_heading(path: Path) -> None:
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text) if "://" not in link[0]]
    assert [link for link in links if link[1] not in anchors(path.parent / link[0] if link[0] else path)] == []


def test_readme__is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) <= MOST_LINES
    assert [path.name for path in DOCS.glob("*.md") if f"(docs/{path.name})" not in README] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document__modules_it_names_exist(path: Path) -> None:
    named = re.findall(
        r"`((?:dvspark|tests|conf|jobs|docs|notebooks|deploy)/[\w./-]+)`", path.read_text(encoding="utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("place", PYTHON)
def test_document__python_runs(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile(PYTHON[place], place, "exec")
    if "spark.read" in PYTHON[place]:
        return  # tests/spark/test_readme_example.py runs it
    names: dict[str, Any] = {}
    exec(code, names)
    if "wrong labels" not in PYTHON[place]:
        return
    # As the text promises: the five wrong labels come first.
    assert sorted(map(int, re.findall(r"\d+", capsys.readouterr().out))) == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("error::dvspark.DataWarning")
@pytest.mark.parametrize("name", ["reading_values.md", "how_do_i.md", "markets.md"])
def test_page__what_it_shows_is_what_comes_out(name: str) -> None:
    found = doctest.testfile(str(DOCS / name), module_relative=False, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted > 0


def test_how_do_i__has_twenty_answers_whose_commands_fit() -> None:
    text = page("how_do_i.md")
    assert text.count("\n## ") >= 20
    shown = re.findall(r"^    dvspark (\w+) (.*)$", text.replace(" \\\n", ""), flags=re.MULTILINE)
    assert len(shown) >= 9
    for command, rest in shown:
        words = rest.split()
        if not COMMANDS[command].takes_settings:
            own_words(COMMANDS[command], words)
        elif words[0] in commands.CHANGE_WORDS:
            assert words[2].startswith("results/runs/")  # the run that it changes says the rest
        else:
            config = ROOT / words.pop(0) if words[0].endswith(".yaml") else None
            assert load_config(config, parse_overrides(words)).output.path


def test_outputs__exit_codes_are_those_of_the_errors() -> None:
    named = {int(code) for cell in table("outputs.md", "exit code") for code in cell.split(", ")}
    classes = [each for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")]
    assert named == {0, *EXIT_CODES.values()} | {each.exit_code for each in classes}
    assert all(str(code) in overview() for code in named)


def test_settings__options_are_those_of_the_configuration() -> None:
    elsewhere = {"train", "owned", "validation", "output", "stream", "spark", *PARAMETERS}
    options = table("settings.md", "option")
    assert list(options) == [name for name in JobConfig.model_fields if name not in elsewhere]
    for name, (default, _) in options.items():
        value = JobConfig.model_fields[name].default
        if value is not None:
            assert default.strip("`") == str(value)
        else:
            assert default in ("derived", "none")


@pytest.mark.parametrize(
    ("option", "choices"),
    [
        ("metric", METRICS),
        ("precision", PRECISIONS),
        ("ties", TIES),
        ("aggregate", AGGREGATES),
        ("ranking", RANKINGS),
        ("on_bad_row", ON_BAD_ROW),
        ("plan", PLANS),
        ("log_format", ("auto", "text", "json")),
    ],
)
def test_settings__names_every_choice(option: str, choices: Any) -> None:
    meaning = " ".join(table("settings.md", "option")[option])
    assert all(f"`{choice}`" in meaning for choice in choices)


def test_methods__are_those_declared() -> None:
    methods = page("methods/README.md").split("\n## By what you have\n")[1].split("\n## ")[0]
    assert set(re.findall(r"\[\w+\]\((\w+)\.md\)", methods)) == {*METHODS}


def test_outputs__values_columns_are_those_of_the_data_dictionary() -> None:
    declared = [*schemas.VALUES.columns, *OPTIONAL]
    columns = [column.name for column in declared]
    values = page("outputs.md").split("\n## The values table\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", values, flags=re.MULTILINE) == columns
    assert column_lines(values)[: len(declared)] == told_of(declared)
    summary = README.split("**A values table**")[1].split("**A run record**")[0]
    assert sorted(re.findall(r"`(\w+)`", summary)) == sorted(columns)


def test_outputs__columns_by_task_are_those_of_the_data_dictionary() -> None:
    by_task = page("outputs.md").split("\n## Values by task\n")[1].split("\n## ")[0]
    assert column_lines(by_task) == told_of([*schemas.BY_TASK.columns, schemas.OWNER])


def column_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def told_of(columns: list[schemas.Column]) -> list[str]:
    """Return the lines of a page's table about columns."""
    return [
        f"| `{column.name}` | {'as given' if column.type.startswith('{') else column.type} | {column.unit} "
        f"| {column.meaning} |"
        for column in columns
    ]


def test_exactness__says_how_certain_certificates_are() -> None:
    assert f"ten standard deviations on {ERROR_SAMPLE} rows" in page("exactness.md").replace("\n  ", " ")
    assert ERROR_DEVIATIONS == 10.0


def test_how_it_works__memory_table_is_the_formula() -> None:
    text = page("how_it_works.md")
    shown = re.findall(r"^\| (sorted|binned) \| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) MiB \|", text, flags=re.MULTILINE)
    assert len(shown) == len(memory.EXAMPLES)
    for ranking, n, *others in shown:
        n_train = int(n.replace(",", ""))
        n_features, points, mib = map(int, others)
        assert points == memory.points_at_once(n_train, n_features, ranking=ranking)
        assert mib == round(memory.scratch_bytes(n_train, n_features, ranking=ranking) / 2**20)


def test_how_it_works__largest_index_that_travels_is_the_engine_s() -> None:
    limit = f"{LARGEST_ARTIFACT_BYTES // 2**30} GiB"
    assert f"at most {limit}" in page("how_it_works.md")
    assert f"more than {limit}" in (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert f"more than {limit}" in (ROOT / "conf" / "jobs" / "value.yaml").read_text(encoding="utf-8")

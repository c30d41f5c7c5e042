"""Help is complete: each command, each setting and each parameter of each method, once, with its default."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import command_help, entries, overview
from dvspark.cli.setting_groups import ALIKE, CLAIMED, setting_groups, shown_default
from dvspark.config.declared import declared_settings
from dvspark.config.job import SECTIONS, JobConfig
from dvspark.config.sources import FLAGS
from dvspark.methods import METHODS

JOBS = [name for name, command in COMMANDS.items() if command.takes_settings]


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def shown(text: str) -> list[tuple[str, str]]:
    """Return the entries of a help, in order: the option, and what is said of it on one line."""
    found = list[tuple[str, str]]()
    for line in text.splitlines():
        if option := re.match(r"  (--[\w.-]+)(.*)", line):
            found.append((option[1], option[2]))
        elif found and line.startswith("      "):
            found[-1] = (found[-1][0], found[-1][1] + " " + line)
    return [(name, " ".join(said.split())) for name, said in found]


def of_other_commands(command: str, name: str) -> bool:
    """Return whether a setting is not among those of a command: another section has its keys, or it has no effect."""
    return name.split(".", maxsplit=1)[0] in ALIKE or (name.startswith("stream.") and command != "stream")


@pytest.mark.parametrize("command", JOBS)
def test_command_help__has_each_setting_once_with_its_default(command: str) -> None:
    told = shown(command_help(COMMANDS[command]))
    expected = [setting for setting in declared_settings() if not of_other_commands(command, setting.name)]
    for setting in expected:
        name = f"--{setting.name}{'.NAME' if setting.default == {} else ''}"
        said = [text for option, text in told if option == name and " ".join(setting.meaning.split()) in text]
        assert len(said) == 1, name
        has_default = setting.default not in (None, {})
        assert (f"default: {shown_default(setting.default)}]" in said[0]) == has_default
    heads = [f"--{name}" for name in SECTIONS] + [f"--{name}.KEY" for name in ALIKE]
    own = [option.name for option in COMMANDS[command].options]
    assert len(told) == len(expected) + len(heads) + len(own)


def test_declared_settings__are_all_fields_of_the_configuration() -> None:
    names = {setting.name for setting in declared_settings()}
    schema = JobConfig.model_json_schema()
    found = set()
    for name, field in schema["properties"].items():
        references = [one["$ref"] for one in (field, *field.get("anyOf", [])) if "$ref" in one]
        keys = schema["$defs"][references[0].rpartition("/")[2]]["properties"] if references else {}
        found |= {f"{name}.{key}" for key in keys} or {name}
    assert names == found


def test_alike__sections_have_the_same_keys() -> None:
    keys: dict[str, list[Any]] = {}
    for setting in declared_settings():
        section, _, key = setting.name.rpartition(".")
        keys.setdefault(section, []).append((key, setting.meaning, setting.default))
    assert [one for one, other in ALIKE.items() if keys[one] != keys[other]] == []


@pytest.mark.parametrize("method", METHODS)
def test_command_help__has_each_parameter_of_each_method_once_with_its_default(method: str) -> None:
    told = shown(command_help(COMMANDS["value"]))
    for parameter in METHODS[method].parameters:
        said = [text for name, text in told if name == f"--{parameter.name}" and re.search(rf"\b{method}\b", text)]
        assert len(said) == 1
        assert parameter.meaning in said[0]
        assert all(word in said[0] for word in parameter.words)
        assert (f"default: {shown_default(parameter.default)}]" in said[0]) == (parameter.default is not None)


def test_command_help__says_what_is_needed_and_what_may_stand_alone() -> None:
    text = command_help(COMMANDS["value"])
    told = dict(shown(text))
    assert {name for name, said in told.items() if said.endswith("; needed")} == {"--train", "--output"}
    assert {name for name, said in told.items() if said.startswith("[true|false] ")} == {f"--{flag}" for flag in FLAGS}


def test_groups__know_the_settings_that_they_claim() -> None:
    assert set(CLAIMED) - set(JobConfig.model_fields) <= {"parameters"}  # of all options together
    assert all(rows for rows in setting_groups(COMMANDS["stream"]).values())


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_command__does_what_its_declaration_names(command: Any) -> None:
    assert callable(getattr(import_module(command.place[0]), command.place[1]))
    assert all(usage.startswith(f"dvspark {command.name}") for usage in command.usage)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_command_help__names_its_options(command: Any) -> None:
    options = dict(shown(command_help(command).split("\n\ntables:")[0]))
    assert set(options) == {option.name for option in command.options}
    assert all(f"default: {one.default}]" in options[one.name] for one in command.options if one.default)


def test_overview__has_each_command_on_a_line_of_its_own() -> None:
    lines = overview().splitlines()
    for name, command in COMMANDS.items():
        assert len([line for line in lines if line.split() == [name, *command.summary.split()]]) == 1


@pytest.mark.parametrize("columns", ["20", "60", "100", "1000"])
def test_help__is_as_wide_as_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    settings = command_help(COMMANDS["value"]).split("\n\ntables:")[1]
    assert max(map(len, settings.splitlines())) <= min(max(int(columns), 60), 120)


def test_entries__what_is_long_has_a_line_of_its_own() -> None:
    assert entries([("--k N", "near"), ("--" + "x" * 30, "far")]) == [
        "  --k N                   near",
        f"  --{'x' * 30}",
        "                          far",
    ]


def test_help__leads_nowhere_that_a_wheel_does_not_have() -> None:
    package = Path(import_module("dvspark").__file__ or "").parent
    named = [path for path in package.rglob("*.py") if re.search(r"[\"'`].*\bconf/jobs\b.*[\"'`]$", path.read_text())]
    assert [str(path) for path in named if "conf/jobs/value.yaml` is the same" not in path.read_text()] == []

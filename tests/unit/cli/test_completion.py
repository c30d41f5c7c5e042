"""Completion scripts: what a real bash completes, and that all three have every command and setting."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli import main
from dvspark.cli.completion import bash_script, fish_script, zsh_script
from dvspark.cli.declared import COMMANDS, SHELLS
from dvspark.config.declared import declared_settings
from dvspark.kernels.distances.distances import METRICS
from dvspark.methods import METHODS

# Completes the last of its words, as bash does when the key is pressed: it has split the line at blanks and `=`.
COMPLETE = """
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
$(complete -p dvspark | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words: str, folder: Path) -> list[str]:
    """Return what bash offers for the last word."""
    script = folder / "completion.bash"
    script.write_text(bash_script(), encoding="utf-8")
    command = ["bash", "--norc", "-c", f"set -u; source {script}\n{COMPLETE}", "bash", "dvspark", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


CASES: dict[str, tuple[list[str], set[str]]] = {
    "a command": ([""], {*COMMANDS, "help", "--help", "--version"}),
    "part of a command": (["pl"], {"plan"}),
    "an option": (["value", "--me"], {"--method", "--metric"}),
    "an option of a section": (
        ["plan", "--train.emb"],
        {"--train.embedding", "--train.embedding_dtype", "--train.embedding_file"},
    ),
    "an option after others": (["value", "a.yaml", "--k", "3", "--ti"], {"--ties"}),
    "a word": (["value", "--metric", ""], {*METRICS}),
    "part of a word": (["stream", "--metric", "co"], {"cosine"}),
    "a word after an equals sign": (["value", "--metric", "="], {*METRICS}),
    "part of a word after one": (["value", "--metric", "=", "inn"], {"inner_product"}),
    "a truth": (["value", "--report", ""], {"true", "false"}),
    "a parameter's word": (["value", "--tail", ""], {"zero", "bound"}),
    "a method": (["value", "--method", "owner"], {"owner_knn_shapley", "owner_sum_of_points"}),
    "a method to read of": (["methods", ""], {*METHODS}),
    "a shell": (["completion", ""], {*SHELLS}),
    "a file": (["value", "job"], set()),
    "a file after an option": (["value", "--train", "tr"], set()),
    "a flag alone": (["init", "--force", ""], set()),
    "an option of the demo": (["demo", "--"], {"--help", "--output"}),
    "no command": (["valu", "--"], set()),
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("name", CASES)
def test_bash__completes(name: str, tmp_path: Path) -> None:
    words, expected = CASES[name]
    assert set(completed(*words, folder=tmp_path)) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash__every_setting_is_offered(tmp_path: Path) -> None:
    offered = completed("value", "--", folder=tmp_path)
    assert {f"--{setting.name}" for setting in declared_settings()} <= set(offered)
    assert len(offered) == len(set(offered))


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash__offers_files_where_there_are_no_words(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(bash_script(), encoding="utf-8")
    command = ["bash", "--norc", "-c", f"source {script}; complete -p dvspark; compgen -A command dvspark; true"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "complete -o default -F _dvspark dvspark" in done.stdout


def test_zsh__runs_the_script_of_bash() -> None:
    assert zsh_script().endswith(bash_script())
    assert "bashcompinit" in zsh_script()


def test_fish__has_each_command_and_setting_with_its_words() -> None:
    lines = fish_script().splitlines()
    assert all(line.startswith("complete -c dvspark ") for line in lines)
    for name in COMMANDS:
        assert len([line for line in lines if f"-n __fish_use_subcommand -a {name} " in line]) == 1
    of_value = [line for line in lines if "'__fish_seen_subcommand_from value'" in line]
    for setting in declared_settings():
        (line,) = [line for line in of_value if f" -l {setting.name} " in line]
        assert all(word in line for word in setting.words)
        assert not re.search(r"(?<!\\)'\w", line.split(" -d '")[1])  # a quote within would end the word


@pytest.mark.parametrize("shell", SHELLS)
def test_completion__prints_the_script(shell: str, capsys: Any) -> None:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ({"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[shell](), "")


@pytest.mark.parametrize("words", [[], ["ksh"], ["bash", "zsh"], ["--bash"]])
def test_completion__other_shells_are_refused(words: list[str], capsys: Any) -> None:
    assert main(["completion", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "what to do" in json.loads(err)["message"]

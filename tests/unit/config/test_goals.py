"""Goals stand for settings: they set those that are left out, and are refused beside others."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words
from dvspark.config.goals import GOALS, SET_BY_GOALS
from dvspark.config.sources import load_config, parse_overrides
from dvspark.errors import ConfigError

SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"
TABLES: dict[str, Any] = {"train": {"path": "t"}, "validation": {"path": "v"}, "output": {"path": "o"}}


def loaded(**given: Any) -> Any:
    owned = {"owned": {"path": "w"}} if given.get("goal") == "acquisition" else {}
    return load_config(None, {**TABLES, **owned, **given})


@pytest.mark.parametrize("goal", GOALS)
def test_goal__sets_what_it_stands_for(goal: str) -> None:
    config = loaded(goal=goal)
    assert {name: getattr(config, name) for name in GOALS[goal].settings} == GOALS[goal].settings
    assert set(GOALS[goal].settings) <= set(SET_BY_GOALS)


def test_goal__beside_a_setting_that_says_the_same_is_accepted() -> None:
    assert loaded(goal="payouts", method="owner_sum_of_points").method == "owner_sum_of_points"


def test_goal__beside_another_method_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(goal="values", method="knn_banzhaf", review="true")
    told = {(problem.where, problem.got) for problem in caught.value.problems}
    assert {("method", "knn_banzhaf"), ("review", "True")} <= told


@pytest.mark.parametrize("goal", ["riches", ["values"], {}])
def test_goal__unknown_one_is_refused(goal: Any) -> None:
    with pytest.raises(ConfigError, match="goal"):
        loaded(goal=goal)


def test_goal__of_the_command_line_wins_over_a_file_and_the_reverse(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("train: t\nvalidation: v\noutput: o\nmethod: knn_banzhaf\nreview: false\n")
    config = load_config(file, parse_overrides(["--goal", "payouts"]))
    assert (config.method, config.review) == ("owner_sum_of_points", False)
    assert load_config(file, parse_overrides(["--goal", "label_errors"])).review is True
    file.write_text("train: t\nvalidation: v\noutput: o\ngoal: payouts\n")
    config = load_config(file, parse_overrides(["--method", "knn_banzhaf"]))
    assert (config.method, config.goal) == ("knn_banzhaf", None)


def test_goals__are_those_of_the_page_and_their_next_steps_are_commands() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$", SETTINGS.read_text(), re.MULTILINE)
    page = {name: (meaning, sets, step.strip()) for name, meaning, sets, step in rows if name in GOALS}
    told = {
        name: (
            goal.meaning,
            ", ".join(f"`{key}: {str(value).lower()}`" for key, value in goal.settings.items()),
            f"`{goal.next_step}`" if goal.next_step else "",
        )
        for name, goal in GOALS.items()
    }
    assert page == told
    for goal in GOALS.values():
        if goal.next_step:
            _, command, *words = shlex.split(goal.next_step)
            own_words(COMMANDS[command], words)

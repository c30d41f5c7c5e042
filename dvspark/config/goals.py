"""Goals: what values are wanted for, and the settings and the next step that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dvspark.errors import Problem

GoalName = Literal["label_errors", "payouts", "selection", "acquisition", "values"]


@dataclass(frozen=True)
class Goal:
    """What a goal is, the ``settings`` that it stands for, and the command that comes next; RUN is the run's folder."""

    meaning: str
    settings: dict[str, Any] = field(default_factory=dict)
    next_step: str = ""


GOALS: dict[str, Goal] = {
    "label_errors": Goal("wrong labels", {"review": True}, "dvspark clean RUN --output FOLDER --dry-run"),
    # An owner gains nothing by splitting into several: docs/methods/owner_sum_of_points.md.
    "payouts": Goal("what owners are paid", {"method": "owner_sum_of_points"}, "dvspark pay RUN --budget 10000"),
    "selection": Goal("which rows to keep", {"method": "knn_shapley"}, "dvspark select RUN --share 0.8 --by label"),
    "acquisition": Goal(
        "what rows on offer are worth", {"method": "knn_acquisition_shapley"}, "dvspark select RUN --share 0.2"
    ),
    "values": Goal("the values alone", {"method": "knn_shapley", "review": False}),
}


# The settings for which goals stand.
SET_BY_GOALS = ("method", "review")


def with_goal(settings: Any) -> Any:
    """Return settings in which those are set that the goal stands for, where they are left out."""
    goal = settings.get("goal") if isinstance(settings, Mapping) else None
    known = GOALS.get(goal) if isinstance(goal, str) else None
    return settings if known is None else {**known.settings, **settings}


def goal_problems(goal: str | None, settings: Mapping[str, Any]) -> list[Problem]:
    """Return the settings that are not those for which the goal stands."""
    if goal is None:
        return []
    wanted = GOALS[goal].settings.items()
    hint = "leave out the setting, or the goal"
    return [
        Problem(name, f"{value}, for goal {goal}", str(settings[name]), hint)
        for name, value in wanted
        if settings[name] != value
    ]

"""What the result of every benchmark must be, however small it ran."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.bench import performance_page


def in_this_process(patch: pytest.MonkeyPatch, script: ModuleType, *names: str) -> None:
    """Have a benchmark do its work here, in the tests' own session: another Spark takes half a minute to start.

    ``names``: the functions that are called here, by default all. Work that is watched stays apart.
    """
    apart = script.apart

    def here(function: Callable[..., Any], **given: Any) -> Any:
        if "watch" in given or (names and function.__name__ not in names):
            return apart(function, **given)
        arguments = {name: one for name, one in given.items() if name not in ("threads", "variables")}
        return json.loads(json.dumps(function(**arguments)))

    patch.setattr(script, "apart", here)


def check_result(result: dict[str, Any], script: Any) -> None:
    """Check what the page needs of a result, which comes back from JSON as it went in."""
    assert json.loads(json.dumps(result)) == result
    assert result["question"] == script.QUESTION
    assert result["versions"]["dvspark"]
    assert result["machine"]["cores"] >= 1
    assert result["tables"]
    for title, rows in result["tables"].items():
        assert rows, title
        assert all(list(row) == list(rows[0]) for row in rows), title
    assert f"## {script.QUESTION}\n" in performance_page.page([result])

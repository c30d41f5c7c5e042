"""Displays: a bar in a real notebook, lines elsewhere, and a display that fails is not the run's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dvspark.logs.displays import LogLines, NotebookBar, TerminalLine, display_for
from dvspark.logs.rounds import Told

TOLD = Told("value", 3, 8, seconds_left=75.0)
SHOW = """
from dvspark.logs import Stages
with Stages().stage("value") as now:
    report = now.expect(0, 4, 1, "starting <workers>")
    now._progress._display.seconds = 0.0
    for done in range(5):
        report(done, 4)
"""
FAIL = """
from dvspark.logs import Stages
try:
    with Stages().stage("value") as now:
        now.expect(0, 4, 1, "")(1, 4)
        raise ValueError
except ValueError:
    pass
"""
BROKEN = """
import IPython.display
def display(*_, **__):
    raise RuntimeError("no front end")
IPython.display.display = display
"""


class Refusing:
    """A standard error that fails."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_notebook__has_one_bar_a_stage_updated_in_place(tmp_path: Path) -> None:
    from notebook_runs import run_cells

    notebook, shown = run_cells([SHOW, FAIL], tmp_path)
    ended = shown[0:6]
    assert ended[0] == "value       0 %  0 of 4 chunks, starting <workers>"
    assert [line.split("chunks")[0] for line in ended[1:]] == [
        f"value     {25 * done:>3} %  {done} of 4 " for done in (1, 2, 3, 4, 4)
    ]
    assert ended[-1] == "value     100 %  4 of 4 chunks, in 0 s"
    assert shown[-1] == "value      25 %  1 of 4 chunks, stopped after 0 s"
    (first,), (second,) = (cell.outputs for cell in notebook.cells)
    assert first.data["text/plain"] == ended[-1]
    assert '<progress value="4" max="4"' in first.data["text/html"]
    assert second.data["text/plain"] == shown[-1]


def test_notebook__a_bar_says_what_it_has_counted() -> None:
    shown = list[str]()
    bar = NotebookBar(lambda words, **_: shown.append(words["text/plain"]))
    bar.end(Told("sums", 5, 5, unit="epochs"), 3.0, failed=False)
    assert shown == ["sums      100 %  5 of 5 epochs, in 3 s"]


def test_notebook__a_display_that_fails_ends_nothing(tmp_path: Path) -> None:
    from notebook_runs import run_cells

    notebook, shown = run_cells([BROKEN + SHOW], tmp_path)
    assert shown == []
    assert notebook.cells[0].outputs == []


def test_notebook_bar__data_are_no_markup() -> None:
    drawn: list[dict[str, str]] = []
    NotebookBar(lambda words, **_: drawn.append(words)).show(Told("<b>", 0, 4, phase="<script>"))
    assert "<script>" not in drawn[0]["text/html"]
    assert "<b>" not in drawn[0]["text/html"]


def test_terminal_line__has_one_width_and_is_wiped(capsys: Any) -> None:
    TerminalLine().show(Told("value", 10**9, 10**10, phase="x" * 80))
    TerminalLine().end(TOLD, 1.0, failed=False)
    shown, wiped, rest = capsys.readouterr().err.split("\r")[1:]
    assert (len(shown), wiped, rest) == (78, " " * 78, "")


def test_terminal_line__that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Refusing())
    shown = display_for(print, as_json=False)
    assert isinstance(shown, TerminalLine)
    shown.show(TOLD)
    shown.end(TOLD, 1.0, failed=True)


@pytest.mark.parametrize("stderr", [None, Refusing()])
def test_display_for__a_machine_gets_lines(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    assert isinstance(display_for(print, as_json=True), LogLines)

"""The command in a process of its own, which holds at a place, says so, and waits for what is done to it.

python held.py PLACE FOLDER value ...        PLACE: a stage's name, `java`, `task`, `deep` or `published`
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Longer than any test waits.
HELD_SECONDS = 120.0


def hold(folder: str) -> None:
    """Say that the place is reached, and wait."""
    (Path(folder) / "held").touch()
    time.sleep(HELD_SECONDS)


def hold_at(place: str, folder: str) -> None:
    """Have this process, or its first task, hold at ``place``."""
    if place == "java":
        _hold_java(folder)
    elif place == "task":
        _hold_task(folder)
    elif place == "published":
        _hold_published(folder)
    else:
        _hold_stage(place, folder)


def _hold_stage(place: str, folder: str) -> None:
    from dvspark.logs import Stages

    def stage(stages: Stages, name: str) -> Any:
        if name == place:
            hold(folder)
        if name == "audit" and place == "deep":
            (Path(folder) / "held").touch()
            ctypes.CDLL(None).sleep(int(HELD_SECONDS))  # where Python's own handlers have no turn
        return true(stages, name)

    true = Stages.stage
    Stages.stage = stage


def _hold_task(folder: str) -> None:
    from dvspark.engine.replicated import replicated

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        (Path(folder) / "held").touch()
        time.sleep(HELD_SECONDS)
        yield from true(batches, index, work)

    true = replicated.value_chunks
    replicated.value_chunks = value_chunks


def _hold_published(folder: str) -> None:
    from dvspark.run import pipeline

    def clear(*given: Any) -> None:
        hold(folder)
        true(*given)

    true = pipeline.clear
    pipeline.clear = clear


def _hold_java(folder: str) -> None:
    import pyspark.java_gateway

    def sleep(seconds: float) -> None:  # between two looks at whether Java has started
        (Path(folder) / "held").touch()
        true(seconds)

    true = time.sleep
    pyspark.java_gateway.time = SimpleNamespace(sleep=sleep)


if __name__ == "__main__":
    where, place_of_marker, *words = sys.argv[1:]
    from dvspark.__main__ import main

    if where != "import":
        hold_at(where, place_of_marker)
    sys.exit(main(words))

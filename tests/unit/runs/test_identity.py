"""A run is named by what decides its values, and by nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from dvspark.methods import METHODS
from dvspark.runs.identity import RUN_ID, derived_run_id, fingerprint, published_id_problems, run_id_problems

FACTS = {
    "version": "0.1.0",
    "options": {"k": 10, "metric": "cosine"},
    "chunk_rows": 256,
    "train": "ab",
    "validation": "cd",
}


def test_fingerprint__is_sixty_four_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(FACTS))


def test_fingerprint__the_order_of_facts_does_not_matter() -> None:
    turned = dict(reversed(FACTS.items())) | {"options": {"metric": "cosine", "k": 10}}
    assert list(turned) != list(FACTS)
    assert fingerprint(turned) == fingerprint(FACTS)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "0.1.1"},
        {"options": {"k": 11, "metric": "cosine"}},
        {"options": {"k": 10, "metric": "cosine", "n_classes": None}},
        {"chunk_rows": 255},
        {"train": "cd", "validation": "ab"},
        {"train": None},
    ],
)
def test_fingerprint__every_fact_matters(change: dict[str, object]) -> None:
    assert fingerprint({**FACTS, **change}) != fingerprint(FACTS)


def test_fingerprint__is_the_same_in_every_process() -> None:
    code = f"from dvspark.runs.identity import fingerprint; print(fingerprint({FACTS!r}))"
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("1", "2")
    ]
    assert {one.stdout.strip() for one in done} == {fingerprint(FACTS)}


def test_derived_run_id__is_a_legal_name() -> None:
    run_id = derived_run_id("soft_knn_shapley", fingerprint(FACTS))
    assert run_id == f"soft_knn_shapley-{fingerprint(FACTS)[:12]}"
    assert RUN_ID.fullmatch(run_id)
    assert run_id_problems(run_id) == []


@pytest.mark.parametrize("run_id", ["../x", "", "a" * 101, ".a", "a/b", "a\n", "run_id=a", "ä"])
def test_run_id_problems__names_what_could_leave_its_folder(run_id: str) -> None:
    (problem,) = run_id_problems(run_id)
    assert problem.where == "run_id"
    assert problem.got == repr(run_id)


@pytest.mark.parametrize("run_id", [None, "a", "a" * 100, "2024-01-01_x.y"])
def test_run_id_problems__has_none_with_plain_names(run_id: str | None) -> None:
    assert run_id_problems(run_id) == []


@pytest.mark.parametrize("method", METHODS)
def test_derived_run_id__keeps_the_rule_of_those_that_are_given(method: str) -> None:
    assert run_id_problems(derived_run_id(method, "0e" * 32)) == []


NUMBERS = ["7", "007", "3.50", "6.", "8_000", "2e9", "4E-2", "9f", "9D", "5L", "0x1F", "0xAp3", "0b01", "0B1_0"]
DATES = ["2025-11-30", "2025-1-3", "2025-06", "2025-11-30T", "2025-11-30T23"]
WORDS = [
    "nan",
    "Infinity",
    "INF",
    "null",
    "None",
    "True",
    "false",
    "epoch",
    "today",
    "latest",
    "nul",
    "com1.txt",
    "week.",
]


@pytest.mark.parametrize("run_id", [*NUMBERS, *DATES, *WORDS])
def test_run_id_problems__names_what_readers_or_stores_take_for_something_else(run_id: str) -> None:
    (problem,) = run_id_problems(run_id)
    assert run_id in problem.got
    assert run_id_problems(problem.hint.split("'")[1]) == []  # what to do is to be done
    assert published_id_problems(run_id) == []  # one that is there stays one that can be read


@pytest.mark.parametrize(
    "run_id", ["v2", "run-7", "2025-11-30_nightly", "1.5.2", "12h", "3rd", "a.claim", "a.b", "nightly-2025-11-30", "x-"]
)
def test_run_id_problems__has_none_with_what_everybody_reads_as_text(run_id: str) -> None:
    assert run_id_problems(run_id) == []

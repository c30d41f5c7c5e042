"""A run is named by what decides its values, and by nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from dvspark.runs.identity import RUN_ID, derived_run_id, fingerprint, run_id_problems

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

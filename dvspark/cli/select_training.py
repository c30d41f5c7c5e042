"""`dvspark select --method chg`: trains a head on rows that are chosen again and again, and keeps those chosen last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from dvspark.arguments import choice_problems
from dvspark.cli.labeled_tables import read_labeled
from dvspark.cli.market_files import free_places, write_both
from dvspark.cli.words import number_of, whole_of
from dvspark.errors import ConfigError, Problem
from dvspark.evaluate.subsets import accuracy_of, coded
from dvspark.subsets import CRITERIA, FULL, SubsetTraining
from dvspark.units import show_count

SIDES = ("train", "validation")
# Words of `dvspark select` that are about the values of a run.
OF_RUNS = ("--rows", "--budget", "--costs", "--by")


def run(operands: list[str], options: dict[str, str]) -> int:
    """Write the rows chosen last, with their values and weights, as CSV and Parquet, and say how the head does.

    Raises: ConfigError for unusable words, InputError for unusable tables, OutputConflictError if something is there.
    """
    if problems := _problems(operands, options):
        raise ConfigError(problems)
    training = SubsetTraining(
        options["--method"],
        number_of("--share", options["--share"]),
        whole_of("--epochs", options),
        whole_of("--every", options),
        whole_of("--batch-rows", options),
        number_of("--learning-rate", options["--learning-rate"]),
        whole_of("--seed", options, 0),
    )
    if problems := training.problems():
        raise ConfigError([replace(one, where=f"--{one.where.replace('_', '-')}") for one in problems])
    places = free_places(options.get("--to", f"selection-{training.criterion}"))
    tables = read_labeled({side: options[f"--{side}"] for side in SIDES if f"--{side}" in options}, options)
    ids, train = tables["train"]
    words = np.unique(train.y)
    points, told = None, list[str]()
    if "validation" in tables:
        points = coded(tables["validation"][1], words)
    done = training.trained(coded(train, words), points if points is not None and len(points[1]) else None)
    order = np.argsort(-done.chosen.values, kind="stable")
    chosen = done.chosen.places[order]
    columns = {"id": ids.take(pa.array(chosen)), "value": done.chosen.values[order]}
    selected = pa.table({**columns, "label": train.y[chosen], "weight": done.chosen.weights[order]})
    those = "is selected, the one that was" if len(selected) == 1 else "are selected, those that were"
    told.append(f"{len(selected):,} of {show_count(len(train), 'row')} {those} chosen last")
    if points is not None and len(points[1]):
        validation = tables["validation"][1]
        right = f"{accuracy_of(done, validation, words):.3f} of {show_count(len(validation), 'validation row')} right"
        told.append(f"a head trained on selected rows has {right}, in {done.seconds:.1f} s of CPU")
    write_both(places, selected, told)
    return 0


def _problems(operands: list[str], options: dict[str, str]) -> list[Problem]:
    problems = choice_problems("--method", options["--method"], [name for name in CRITERIA if name != FULL])
    needed = [name for name in ("--train", "--share") if name not in options]
    problems += [Problem(name, "one, with --method", "none", "such as --train train.parquet") for name in needed]
    strange = [*operands, *(name for name in OF_RUNS if name in options)]
    hint = "leave it out: rows are chosen while a head trains, not by the values of a run"
    return problems + [Problem("dvspark select --method", "words about training", one, hint) for one in strange]

"""`dvspark select`: selects the rows of a published run that a budget of rows or of money should keep."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import pyarrow as pa

from dvspark.arguments import choice_problems
from dvspark.cli import select_training
from dvspark.cli.declared import COMMANDS, TABLE_OPTIONS, TRAINING_OPTIONS
from dvspark.cli.market_files import asked_values, free_places, write_both
from dvspark.cli.words import number_of, own_words
from dvspark.errors import ConfigError, Problem, written
from dvspark.logs.redact import visible
from dvspark.market.given_tables import column_of, costs_of, read_table
from dvspark.market.selection import GROUPS, select_rows, select_within

SIZES = ("--rows", "--share", "--budget")
# So many groups are told.
MOST_GROUPS = 20


def run(words: Sequence[str]) -> int:
    """Write the selected rows as CSV and Parquet, and say what is left of each group.

    Raises: ConfigError for unusable words or a budget that covers too little, InputError for unusable tables,
    OutputConflictError if something is there already.
    """
    operands, options = own_words(COMMANDS["select"], words)
    if "--method" in options:
        defaults = {one.name: one.default for one in COMMANDS["select"].options if one.default is not None}
        return select_training.run(operands, defaults | options)
    if problems := _problems(operands, options):
        raise ConfigError(problems)
    asked = asked_values(operands[0])
    values, places = asked.values, free_places(options.get("--to", f"selection-{asked.name}"))
    selected = _selected(values, options)
    are = "is" if len(selected) == 1 else "are"
    told = [f"{len(selected):,} of {len(values):,} {are} selected", *_told(values, selected, options.get("--by"))]
    write_both(places, selected, told)
    return 0


def _selected(values: pa.Table, options: dict[str, str]) -> pa.Table:
    by = options.get("--by")
    if "--budget" in options:
        ids = pa.chunked_array([column_of(values, "id")])
        costs = costs_of(ids, read_table(options["--costs"]), options.get("--cost-column", "cost"))
        return select_within(values, costs, number_of("--budget", options["--budget"]), by)
    if "--share" in options:
        return select_rows(values, _rows_of_share(options["--share"], len(values)), by)
    n_rows = number_of("--rows", options["--rows"])
    if not n_rows.is_integer():
        raise ConfigError(Problem("--rows", "a whole number", options["--rows"], "give --share for a part"))
    return select_rows(values, int(n_rows), by)


def _rows_of_share(text: str, n: int) -> int:
    """Return how many of n rows a share is, rounded down, one at least. Raises: ConfigError for what is no share."""
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or not 0 < share <= 1:
        raise ConfigError(Problem("--share", "a number above 0, up to 1", written(text), "0.5 keeps half"))
    # In floats 0.29 of 100 is less than 29. No table has 10^18 rows, and a fraction has all digits of 1e-99999999.
    return max(1, math.floor(Fraction(share) * n)) if share.adjusted() >= -18 else 1


def _told(values: pa.Table, selected: pa.Table, by: str | None) -> list[str]:
    """Return what is left of each group, the largest first."""
    if by is None:
        return []
    before, after = (Counter(table[by].to_pylist()) for table in (values, selected))
    lines = [f"  {visible(str(group))}: {after[group]:,} of {n:,}" for group, n in before.most_common(MOST_GROUPS)]
    more = len(before) - MOST_GROUPS
    return lines + ([f"  and {more:,} more groups"] if more > 0 else [])


def _problems(operands: list[str], options: dict[str, str]) -> list[Problem]:
    problems = []
    if not operands:
        hint = "a CSV or Parquet file with columns id and value will do, too"
        problems.append(Problem("dvspark select", "RUN: OUTPUT/runs/RUN_ID, or OUTPUT", "nothing", hint))
    given = [name for name in SIZES if name in options]
    if len(given) != 1:
        expected, got = f"one of {', '.join(SIZES)}", ", ".join(given) or "none"
        problems.append(Problem("dvspark select", expected, got, "--share 0.5 keeps half of the rows"))
    if ("--budget" in options) != ("--costs" in options):
        expected, hint = "--budget and --costs together", "give --costs FILE, with columns id and cost"
        problems.append(Problem("--budget, --costs", expected, "only one of them", hint))
    strange = [one.name for one in (*TABLE_OPTIONS, *TRAINING_OPTIONS) if one.name in options]
    hint = "give --method and --train, or leave it out"
    problems += [Problem("dvspark select RUN", "words about values", name, hint) for name in strange]
    if "--by" in options:
        problems += choice_problems("--by", options["--by"], GROUPS)
    return problems

"""`dvspark pay`: splits a budget by the values of a published run, and writes who is paid what."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words, place_of
from dvspark.cli.writing import write_new
from dvspark.errors import ConfigError, Problem
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.market.gaming import RESISTS, SUMS
from dvspark.market.given_tables import csv_bytes, is_file, number_of, parquet_bytes, read_given_values, require_free
from dvspark.market.payout_table import payout_table
from dvspark.tables.sinks.published_values import read_record, read_values

NEGATIVE = ("pays-nothing", "owes")


def run(words: Sequence[str]) -> int:
    """Write the payouts as CSV and Parquet, and say who resists what.

    Raises: ConfigError for unusable words, InputError for values that share nothing, OutputConflictError if something
    is there already.
    """
    operands, options = own_words(COMMANDS["pay"], words)
    if problems := _problems(operands, options):
        raise ConfigError(problems)
    place, by_owner = operands[0], "--by" in options
    if is_file(place):
        values, name, method = read_given_values(place), Path(place).stem, None
    else:
        output, run_id = place_of(place)
        record = read_record(output, run_id)
        name, method = str(record["run_id"]), str(record["method"]["name"])
        values = read_values(output, name)
    to = options.get("--to", f"payouts-{name}")
    places = [Path(f"{to}.csv"), Path(f"{to}.parquet")]
    require_free(*places)
    decimals = number_of("--decimals", options.get("--decimals", "2"))
    table = payout_table(
        values,
        _amount(options["--budget"]),
        by_owner=by_owner,
        floor=options.get("--negative", NEGATIVE[0]) == NEGATIVE[0],
        decimals=int(decimals) if decimals.is_integer() else decimals,
    )
    for path, content in zip(places, (csv_bytes(table), parquet_bytes(table)), strict=True):
        write_new(path, content, force=False)
    n_paid = sum(amount != 0 for amount in table["payout"].to_pylist())
    lines = [f"{n_paid:,} of {len(table):,} are paid; they share {options['--budget']}"]
    said = SUMS if by_owner else RESISTS.get(method or "")
    lines += [said] if said else []
    lines += [f"wrote {visible(str(path))}" for path in places]
    tell("\n".join(lines) + "\n")
    return 0


def _problems(operands: list[str], options: dict[str, str]) -> list[Problem]:
    problems = []
    if not operands:
        hint = "a CSV or Parquet file with columns id and value will do, too"
        problems.append(Problem("dvspark pay", "RUN: OUTPUT/runs/RUN_ID, or OUTPUT", "nothing", hint))
    if "--budget" not in options:
        problems.append(Problem("--budget", "an amount of money", "none", "give --budget 10000"))
    if "--by" in options:
        problems += choice_problems("--by", options["--by"], ("owner",))
    if "--negative" in options:
        problems += choice_problems("--negative", options["--negative"], NEGATIVE)
    return problems


def _amount(text: str) -> Decimal:
    """Return the amount of money that a text is. Raises: ConfigError for other texts."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ConfigError(
            Problem("--budget", "an amount of money", repr(text), "write digits, such as 9999.99")
        ) from None

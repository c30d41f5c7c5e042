"""`dvspark pay`: splits a budget by the values of a published run, and writes who is paid what."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS
from dvspark.cli.market_files import asked_values, free_places, write_both
from dvspark.cli.words import number_of, own_words
from dvspark.errors import ConfigError, Problem, written
from dvspark.logs.redact import visible
from dvspark.market.gaming import RESISTS, SUMS
from dvspark.market.payout_table import payout_table

NEGATIVE = ("pays-nothing", "owes")
# So many of those who are paid are shown.
SHOWN = 5


def run(words: Sequence[str]) -> int:
    """Write the payouts as CSV and Parquet, and say who resists what.

    Raises: ConfigError for unusable words, InputError for values that share nothing, OutputConflictError if something
    is there already.
    """
    operands, options = own_words(COMMANDS["pay"], words)
    if problems := _problems(operands, options):
        raise ConfigError(problems)
    asked, by_owner = asked_values(operands[0], options.get("--task")), "--by" in options
    places = free_places(options.get("--to", f"payouts-{asked.name}"))
    decimals = number_of("--decimals", options.get("--decimals", "2"))
    table = payout_table(
        asked.values,
        _amount(options["--budget"]),
        by_owner=by_owner,
        floor=options.get("--negative", NEGATIVE[0]) == NEGATIVE[0],
        decimals=int(decimals) if decimals.is_integer() else decimals,
    )
    n_paid = sum(amount != 0 for amount in table["payout"].to_pylist())
    lines = [
        *_largest(table, int(decimals)),
        f"{n_paid:,} of {len(table):,} are paid; they share {options['--budget']}",
    ]
    said = SUMS if by_owner else RESISTS.get(asked.method or "")
    write_both(places, table, [*lines, said] if said else lines)
    return 0


def _largest(table: pa.Table, decimals: int) -> list[str]:
    """Return lines about those who are paid most, the most first."""
    most = table.sort_by([("payout", "descending"), ("id", "ascending")]).slice(0, SHOWN).to_pylist()
    paid = [(f"{row['payout']:,.{decimals}f}", visible(str(row["id"]))) for row in most if row["payout"] > 0]
    width = max((len(payout) for payout, _ in paid), default=0)
    return [f"{payout:>{width}}  {name}" for payout, name in paid]


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
            Problem("--budget", "an amount of money", written(text), "write digits, such as 9999.99")
        ) from None

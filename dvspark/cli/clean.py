"""`dvspark clean`: writes the training table as a review decided, and a log of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words, place_of
from dvspark.errors import ConfigError, Problem
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.review.changes import changes_of, log_text, losses
from dvspark.review.clean import (
    LOG,
    ORIGINAL,
    SETS,
    TABLE,
    read_reviewed,
    require_same_table,
    write_cleaned,
    write_with_sets,
)
from dvspark.review.sets import COLUMN
from dvspark.units import show_count

# A dry run shows so many changes.
SHOWN = 20


def run(words: Sequence[str]) -> int:
    """Write the table and say what changed.

    Raises: ConfigError for words or runs that cannot be used, InputError for unusable decisions or another table,
    OutputConflictError if something is there already.
    """
    operands, options = own_words(COMMANDS["clean"], words)
    problems, dry = [], "--dry-run" in options
    if not operands:
        problems.append(Problem("RUN", "the folder OUTPUT/runs/RUN_ID of a reviewed run", "none", "as the run printed"))
    if not options.get("--output") and not dry:
        problems.append(Problem("--output", "a folder for the table", "none", "or --dry-run, which writes nothing"))
    if problems:
        raise ConfigError(problems)
    if "--sets" in options:
        return _with_sets(operands[0], options)
    reviewed = read_reviewed(*place_of(operands[0]))
    decisions = options.get("--decisions")
    changes = changes_of(reviewed.table, Path(decisions) if decisions else None)
    require_same_table(reviewed, changes)
    notes = [f"note: {told}" for told in losses(reviewed.table, changes)]
    counts = Counter(change.decision for change in changes.values())
    told = f"{show_count(counts['drop'], 'row')} dropped, {counts['relabel']:,} relabeled"
    if dry:
        lines = log_text(changes).splitlines()
        left_out = [f"... and {len(changes) - SHOWN:,} more"] if len(changes) > SHOWN else []
        next_to_do = f"next: dvspark clean {operands[0]} --output FOLDER, with the same words"
        _tell([*lines[: SHOWN + 1], *left_out, *notes, f"nothing written; it would be {told}", next_to_do])
        return 0
    output = Path(options["--output"])
    before, after = write_cleaned(reviewed, changes, output)
    done = f"{show_count(before, 'row')} read, {told}, {after:,} written"
    if reviewed.n_rejected:
        bad = show_count(reviewed.n_rejected, "row")
        end = "was not reviewed, and stays" if reviewed.n_rejected == 1 else "were not reviewed, and stay"
        notes.append(f"note: {bad} that the run had set aside as bad {end}")
    _tell([done, *notes, f"table: {output / TABLE}", f"as it was: {output / ORIGINAL}", f"changes: {output / LOG}"])
    return 0


def _with_sets(run: str, options: dict[str, str]) -> int:
    """Write the table with the column of duplicate sets, and say what to do with it."""
    if unfit := [name for name in ("--decisions", "--dry-run") if name in options]:
        hint = "leave them out: no row changes"
        raise ConfigError(Problem("--sets", "alone with --output", ", ".join(unfit), hint))
    reviewed, output = read_reviewed(*place_of(run)), Path(options["--output"])
    require_same_table(reviewed, {})
    n_rows, n_sets = write_with_sets(reviewed, output)
    table = output / SETS
    next_to_do = f"next: dvspark value --method owner_knn_shapley --train {table} --train.owner {COLUMN} ..."
    _tell([f"{show_count(n_rows, 'row')} in {show_count(n_sets, 'set')}", f"table: {table}", next_to_do])
    return 0


def _tell(lines: list[str]) -> None:
    tell("".join(f"{visible(line)}\n" for line in lines))

"""Ranges of draws in tasks: numbers of ranges go in, their totals come out, as Arrow batches without any Spark type."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.errors import ComputeError, Problem
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import Estimator
from dvspark.games.moments import Moments
from dvspark.games.playing import PlayRanges
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Maker, Probe, Utility, Worths, digest, made_utility
from dvspark.schemas import COALITIONS, RANGE_TOTALS, WORTHS, Bools
from dvspark.schemas.arrow import arrow_schema

# What coalitions are worth, by game: a Python worker plays many ranges, one task after the other.
_kept: dict[str, dict[bytes, float]] = {}


@dataclass(frozen=True)
class GameWork:
    """What a task must know to play a range; ``token`` tells this game from others, ``keeps`` as of `Worths`."""

    utility: Utility | str | Maker
    estimator: Estimator
    seed: int
    ends: Ends
    token: str
    keeps: bool = False

    def totals(self, drawn: Drawn) -> Totals:
        """Return the totals of a stretch of draws. Raises: ComputeError where the utility fails."""
        worths = Worths(made_utility(self.utility), self.estimator.n_players, self.keeps)
        if self.keeps:
            if self.token not in _kept:
                _kept.clear()
                everybody = np.arange(self.estimator.n_players)
                _kept[self.token] = {digest(everybody): self.ends.all, digest(everybody[:0]): self.ends.none}
            worths.kept = _kept[self.token]
        return self.estimator.totals(drawn, self.seed, worths, self.ends)


def play_here(work: GameWork) -> PlayRanges:
    """Return what plays ranges in this process, each when it is asked for."""

    def play_ranges(stretches: Sequence[Drawn]) -> Iterator[Totals]:
        return map(work.totals, stretches)

    return play_ranges


def play_numbers(batches: Iterator[pa.RecordBatch], n_draws: int, work: GameWork) -> Iterator[pa.RecordBatch]:
    """Yield the `RANGE_TOTALS` of the first ``n_draws`` draws of each range whose number is in the column id."""
    for batch in batches:
        for number in batch.column("id").to_pylist():
            yield totals_row(number, work.totals(Drawn(number, n_draws)))


def ask_worths(
    batches: Iterator[pa.RecordBatch], utility: Utility | str | Maker, n_players: int
) -> Iterator[pa.RecordBatch]:
    """Yield the `WORTHS` of `COALITIONS`, each asked for alone. Raises: ComputeError where the utility fails."""
    worths = Worths(made_utility(utility), n_players)
    for batch in batches:
        rows = list[dict[str, Any]]()
        for row in batch.to_pylist():
            began = time.process_time()
            worth = worths.of(unpacked(row["joined"], n_players))
            rows.append({"number": row["number"], "worth": worth, "seconds": time.process_time() - began})
        worths.require_no_failures()
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(WORTHS))


def coalitions_table(coalitions: Sequence[Bools]) -> pa.Table:
    """Return coalitions as `COALITIONS`, numbered in their order."""
    rows = [{"number": number, "joined": packed(one)} for number, one in enumerate(coalitions)]
    return pa.Table.from_pylist(rows, schema=arrow_schema(COALITIONS))


def worths_in_order(table: pa.Table, n_coalitions: int) -> list[dict[str, Any]]:
    """Return the `WORTHS` in the order of their numbers. Raises: ComputeError unless each came once."""
    rows = sorted(table.to_pylist(), key=lambda row: row["number"])
    if [row["number"] for row in rows] != list(range(n_coalitions)):
        got = f"{len(rows)} worths"
        raise ComputeError(Problem("worths of coalitions", f"{n_coalitions}, each once", got, "play the game again"))
    return rows


def totals_row(number: int, totals: Totals) -> pa.RecordBatch:
    """Return totals as a row of `RANGE_TOTALS`."""
    probe = totals.probe
    arrays = (array for one in totals.moments for array in (one.n, one.mean, one.squares))
    row: dict[str, Any] = {
        "number": number,
        "n_draws": totals.n_draws,
        "n_ranges": totals.n_ranges,
        "n_asked": totals.n_asked,
        "n_calls": totals.n_calls,
        "least": totals.least,
        "most": totals.most,
        "probe": None if probe is None else packed(probe.joined),
        "probe_worth": None if probe is None else probe.worth,
        "moments": b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays),
        "record": totals.record,
    }
    return pa.RecordBatch.from_pylist([row], schema=arrow_schema(RANGE_TOTALS))


def totals_of(row: dict[str, Any], n_players: int) -> Totals:
    """Return the totals of a row of `RANGE_TOTALS`. Raises: ComputeError for a row of another game."""
    content: bytes = row["moments"]
    if len(content) % (24 * n_players):
        expected = f"numbers of {n_players} players"
        raise ComputeError(Problem("totals of a range", expected, f"{len(content)} bytes", "play the game again"))
    parts = [content[start : start + 8 * n_players] for start in range(0, len(content), 8 * n_players)]
    moments = tuple(
        Moments(np.frombuffer(n, "<i8"), np.frombuffer(mean, "<f8"), np.frombuffer(squares, "<f8"))
        for n, mean, squares in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )
    n_draws, n_ranges, n_asked, n_calls = (int(row[name]) for name in ("n_draws", "n_ranges", "n_asked", "n_calls"))
    probe = None if row["probe"] is None else Probe(unpacked(row["probe"], n_players), row["probe_worth"])
    return Totals(moments, n_draws, n_ranges, n_asked, n_calls, row["least"], row["most"], probe, row["record"])


def packed(joined: Bools) -> bytes:
    """Return a coalition as bits."""
    return np.packbits(joined).tobytes()


def unpacked(content: bytes, n_players: int) -> Bools:
    """Return the coalition whose bits these are, bool (n_players,)."""
    return np.unpackbits(np.frombuffer(content, np.uint8), count=n_players).astype(np.bool_)


def in_order(table: pa.Table, stretches: Sequence[Drawn], n_players: int) -> Iterator[Totals]:
    """Yield the totals of stretches in their order. Raises: ComputeError unless each range came once."""
    rows = {row["number"]: row for row in table.to_pylist()}
    expected = [one.number for one in stretches]
    if sorted(rows) != sorted(expected) or len(table) != len(expected):
        got = f"{len(table)} of {len(rows)} numbers"
        hint = "play the game again; a ledger keeps what is done"
        raise ComputeError(Problem("ranges of draws", f"{len(expected)}, each once", got, hint))
    for number in expected:
        yield totals_of(rows[number], n_players)

"""Ranges of draws by workers of this machine, a range at a time, and worths of coalitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from dvspark.engine.by_workers.worker import game_request
from dvspark.engine.games.ranges import GameWork, coalitions_table, in_order, worths_in_order
from dvspark.engine.games.table_utility import TableUtility
from dvspark.games.draws import Drawn
from dvspark.games.playing import PlayRanges
from dvspark.games.totals import Totals
from dvspark.local.workers import Workers
from dvspark.schemas import Bools
from dvspark.schemas.columns import from_ipc


def play_by(workers: Workers, utility: TableUtility, work: GameWork) -> PlayRanges:
    """Return what plays ranges by workers, of the game of this ``utility``.

    Raises, when ranges are played: TaskFailedError where the utility fails, ComputeError for a worker that has ended.
    """
    n_players, ends = work.estimator.n_players, asdict(work.ends)

    def play_ranges(stretches: Sequence[Drawn]) -> Iterator[Totals]:
        numbers = ((one, pa.table({"id": [one.number]})) for one in stretches)
        asked = (game_request("play", rows, utility, n_players, n_draws=one.n, ends=ends) for one, rows in numbers)
        for drawn, told in zip(stretches, workers.map(asked), strict=False):
            yield from in_order(from_ipc(told), [drawn], n_players)

    return play_ranges


def ask_by(workers: Workers, utility: TableUtility, coalitions: Sequence[Bools]) -> list[dict[str, Any]]:
    """Return the `WORTHS` of coalitions, asked of workers, in their order. Raises: as `play_by` does."""
    table, n_players = coalitions_table(coalitions), len(coalitions[0])
    some = [table.slice(start, -(-len(table) // workers.n_most)) for start in _starts(len(table), workers.n_most)]
    told = workers.map(game_request("worths", part, utility, n_players) for part in some)
    return worths_in_order(pa.concat_tables(map(from_ipc, told)), len(coalitions))


def _starts(n: int, n_parts: int) -> range:
    return range(0, n, -(-n // n_parts))

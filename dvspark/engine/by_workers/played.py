"""Ranges of draws by workers of this machine, a range at a time, and worths of coalitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from dvspark.engine.by_workers.worker import game_request
from dvspark.engine.games.ranges import GameWork, coalitions_table, in_order, worths_in_order
from dvspark.games.draws import Drawn
from dvspark.games.playing import PlayRanges
from dvspark.games.totals import Totals
from dvspark.games.utility import Maker
from dvspark.local.workers import Workers
from dvspark.schemas import Bools
from dvspark.schemas.columns import from_ipc


def play_by(workers: Workers, work: GameWork) -> PlayRanges:
    """Return what plays ranges by workers.

    Raises, when ranges are played: TaskFailedError where the utility fails, ComputeError for a worker that has ended.
    """

    def play_ranges(stretches: Sequence[Drawn]) -> Iterator[Totals]:
        asked = (game_request("play", pa.table({"id": [one.number]}), (work, one.n)) for one in stretches)
        for drawn, told in zip(stretches, workers.map(asked), strict=False):
            yield from in_order(from_ipc(told), [drawn], work.estimator.n_players)

    return play_ranges


def ask_by(workers: Workers, utility: Maker, coalitions: Sequence[Bools]) -> list[dict[str, Any]]:
    """Return the `WORTHS` of coalitions, asked of workers, in their order. Raises: as `play_by` does."""
    table, n_players = coalitions_table(coalitions), len(coalitions[0])
    some = [table.slice(start, -(-len(table) // workers.n_most)) for start in _starts(len(table), workers.n_most)]
    told = workers.map(game_request("worths", part, (utility, n_players)) for part in some)
    return worths_in_order(pa.concat_tables(map(from_ipc, told)), len(coalitions))


def _starts(n: int, n_parts: int) -> range:
    return range(0, n, -(-n // n_parts))

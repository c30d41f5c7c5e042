"""Ranges of draws over Spark: each wave of ranges is one job, cut into as many tasks as run at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.engine.games.ranges import GameWork, ask_worths, coalitions_table, in_order, play_numbers, worths_in_order
from dvspark.engine.planning.cluster import read_hosts
from dvspark.games.draws import Drawn
from dvspark.games.playing import PlayRanges
from dvspark.games.totals import Totals
from dvspark.games.utility import Maker
from dvspark.schemas import RANGE_TOTALS, WORTHS, Bools
from dvspark.spark.exhausted import translated

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A wave takes about this long: what it has played is lost if the game is stopped meanwhile.
WAVE_SECONDS = 30.0


def play_on(spark: SparkSession, work: GameWork) -> PlayRanges:
    """Return what plays ranges by tasks of a session, Spark Connect included.

    Raises, when ranges are played: ComputeError where the utility fails in a task, or a range is lost or comes twice.
    """
    n_tasks = read_hosts(spark, None).n_tasks

    def play_ranges(stretches: Sequence[Drawn]) -> Iterator[Totals]:
        start, size = 0, n_tasks
        while start < len(stretches):
            wave = stretches[start : start + size]
            began = time.monotonic()
            played = _played(spark, wave, n_tasks, work)
            seconds = time.monotonic() - began
            yield from in_order(played, wave, work.estimator.n_players)
            start += size
            # The number of ranges in a wave changes no bit: they are added in order, one by one.
            size = max(n_tasks, min(4 * size, int(size * WAVE_SECONDS / max(seconds, 1e-3))))

    return play_ranges


def ask_on(spark: SparkSession, utility: Maker, coalitions: Sequence[Bools]) -> list[dict[str, Any]]:
    """Return the `WORTHS` of coalitions, asked of tasks of a session, in their order.

    Raises: ComputeError where the utility fails in a task.
    """
    table, n_players = coalitions_table(coalitions), len(coalitions[0])
    n_parts = min(read_hosts(spark, None).n_tasks, len(table))

    def ask(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return ask_worths(batches, utility, n_players)

    with translated():
        rows = spark.createDataFrame(table).repartitionByRange(n_parts, "number")
        return worths_in_order(rows.mapInArrow(ask, WORTHS.ddl()).toArrow(), len(table))


def _played(spark: SparkSession, wave: Sequence[Drawn], n_tasks: int, work: GameWork) -> pa.Table:
    """Return the `RANGE_TOTALS` of a wave, whose stretches are as long as its first."""
    first, n_draws = wave[0].number, wave[0].n

    def play(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return play_numbers(batches, n_draws, work)

    with translated():
        numbers = spark.range(first, first + len(wave), 1, min(n_tasks, len(wave)))
        return numbers.mapInArrow(play, RANGE_TOTALS.ddl()).toArrow()

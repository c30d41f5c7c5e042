"""A local worker: `python -m dvspark.engine.by_workers.worker` does what Spark's executors do with a chunk.

A request is an Arrow stream of the chunk's rows, whose metadata say what is to be done; the answer is an Arrow stream
of what the task yields, or the text of its error.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import IO, Any

import pyarrow as pa

from dvspark.engine.compared import compare_chunks
from dvspark.engine.games.ranges import ask_worths, play_numbers
from dvspark.engine.games.table_utility import TableUtility
from dvspark.engine.index.train_index import IndexReference, TrainIndex
from dvspark.engine.replicated.replicated import open_here
from dvspark.engine.replicated.row_passes import arrays_batch, arrays_of
from dvspark.engine.tasks import ChunkWork, count_chunks, near_chunks, value_chunks
from dvspark.games.utility import Ends
from dvspark.kernels import loops
from dvspark.kernels.formulas.influence import AlongPass, HessianPass
from dvspark.kernels.gradients.given_pass import GivenPass
from dvspark.kernels.gradients.head_pass import HeadPass
from dvspark.kernels.gradients.row_pass import RowPass, taken
from dvspark.local.workers import DONE, FAILED, read_message, write_message
from dvspark.methods.kinds.shared import labelled_rows
from dvspark.methods.options import ValueOptions

Batches = Iterator[pa.RecordBatch]


# What reads stretches of rows, by the names of the tasks.
PASSES: dict[str, type[RowPass]] = {one.task: one for one in (HeadPass, GivenPass, HessianPass, AlongPass)}


def pass_stretch(
    batches: Batches,
    index: TrainIndex,
    work: ChunkWork,  # noqa: ARG001 - a pass says it all
    made: type[RowPass],
) -> Batches:
    """Yield `HEAD_SUMS` of the stretch that the pass in the batches is about."""
    told = arrays_of(batches)
    start, stop = map(int, told["ends"])
    piece = taken(labelled_rows(index.arrays), slice(start, stop))
    yield arrays_batch(0, made.of_arrays(told).answer([piece]))


TASKS: dict[str, Callable[[Batches, TrainIndex, ChunkWork], Batches]] = {
    "value": value_chunks,
    "count": count_chunks,
    "near": near_chunks,
    "compare": compare_chunks,
    **{task: partial(pass_stretch, made=made) for task, made in PASSES.items()},
}
# Where a request's metadata say what is to be done.
TOLD = b"dvspark"


def request(task: str, rows: pa.Table, reference: IndexReference, work: ChunkWork) -> bytes:
    """Return the request of a task on the rows of a chunk."""
    key = None if work.sample_key is None else work.sample_key.hex()
    told = {
        "task": task,
        "index": asdict(reference),
        "options": work.options.record(),
        "parameters": work.parameters.plain(),
        "sample_key": key,
    }
    return _stream(rows.schema.with_metadata({TOLD: json.dumps(told).encode()}), rows.to_batches())


def game_request(task: str, rows: pa.Table, utility: TableUtility, n_players: int, **told: Any) -> bytes:
    """Return the request of a task of a game, "play" or "worths", on the numbers of ranges, or on coalitions."""
    told |= {"task": task, "utility": utility.told(), "n_players": n_players}
    return _stream(rows.schema.with_metadata({TOLD: json.dumps(told).encode()}), rows.to_batches())


def _game_answer(rows: Batches, told: dict[str, Any]) -> list[pa.RecordBatch]:
    utility, n_players = TableUtility.of_told(told["utility"]), told["n_players"]
    if told["task"] == "worths":
        return list(ask_worths(rows, utility, n_players))
    return list(play_numbers(rows, told["n_draws"], utility.work(n_players, Ends(**told["ends"]))))


def answer(content: bytes) -> bytes:
    """Return the answer to a request."""
    with pa.ipc.open_stream(pa.py_buffer(content)) as rows:
        told = json.loads(rows.schema.metadata[TOLD])
        if "utility" in told:
            played = _game_answer(iter(rows), told)
            return _stream(played[0].schema, played)
        key = None if told["sample_key"] is None else bytes.fromhex(told["sample_key"])
        options = ValueOptions(**told["options"])
        work = ChunkWork(options, options.declaration.formulas(**told["parameters"]), key)
        index = open_here(IndexReference(**told["index"]))
        found = list(TASKS[told["task"]](iter(rows), index, work))
    return _stream(found[0].schema, found)


def _stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return sink.getvalue().to_pybytes()


def _requests(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield the requests; a worker whose input ends, because its process was killed, ends in whatever it does."""
    arrived = queue.SimpleQueue[bytes]()

    def listen() -> None:
        while (content := read_message(pipe)) is not None:
            arrived.put(content)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield arrived.get()


def main() -> None:
    """Answer all requests of standard input."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    loops.fastest()
    gc.freeze()
    for content in _requests(sys.stdin.buffer):
        try:
            told = DONE + answer(content)
        except Exception:
            told = FAILED + traceback.format_exc().encode()
        write_message(answers, told)


if __name__ == "__main__":
    main()

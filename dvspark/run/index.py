"""Index: training rows become their index, or a run that was killed takes over the index it had finished.

The rows may be in their places before the stage begins: `rows_ahead`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dvspark.engine.by_workers import by_workers
from dvspark.engine.by_workers.by_workers import LocalIndex
from dvspark.engine.engines import Index, IndexBuilder
from dvspark.engine.index.train_index import IndexReference, finished_index
from dvspark.engine.planning.plan import Plan
from dvspark.engine.replicated import packing, replicated
from dvspark.engine.replicated.ahead import index_ahead
from dvspark.engine.sharded import sharded
from dvspark.host.own_folder import own_folder
from dvspark.kernels.ranking.ordered import given
from dvspark.local.rows import LocalRows
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.run.request import Spread
from dvspark.runs.ledger import LEDGERS, KeptIndex, Ledger, kept_indexes
from dvspark.schemas import EXACT
from dvspark.tables.passes import Begin, no_index
from dvspark.tables.sources.rows import Rows
from dvspark.tables.storage import Storage
from dvspark.tables.table_checks import ValidatedInputs
from dvspark.units import show_bytes

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


@contextmanager
def rows_ahead(spread: Spread, storage: Storage, *, force: bool) -> Iterator[Begin]:
    """Yield what may begin the index of training rows while they are checked; what is left of it goes afterward.

    Before its rows are read, nobody knows which run this is. So none is begun where one of this output was stopped
    that has finished its index: this one may be the same, and go on with it.
    """
    root = _root(spread.work_dir)
    kept = [] if force else kept_indexes(storage, storage.folders(LEDGERS))
    if any(index.digest and (root / index.folder).is_dir() for index in kept):
        yield no_index
        return
    with index_ahead(root, spread.plan, spread.host_memory) as begin:
        yield begin


@contextmanager
def index_rows(
    inputs: ValidatedInputs,
    options: ValueOptions,
    plan: Plan,
    work_dir: str | None,
    ledger: Ledger | None,
    stages: Stages,
) -> Iterator[Index]:
    """Yield the index of the training rows, in ``work_dir`` if it is given. The index is removed afterward.

    A run that was killed goes on with the index that it had finished, if all files have their sha256. The rows may be
    in their places already (``inputs.ahead``).
    """
    root, shared = _root(work_dir), work_dir is not None
    kept = None if ledger is None else ledger.index()
    frame = inputs.train.frame
    with own_folder(root, plan.index_bytes, kept.folder if kept else None) as folder:
        directory = folder / "index"
        with stages.stage("index") as now:
            index = _finished(frame, plan, directory, kept.digest) if kept else None
            now.note = "finished before; " if index else ""
            ahead = None if index or plan.name == "sharded" else inputs.ahead
            if inputs.ahead is not None and ahead is None:
                inputs.ahead.drop()  # now, since it takes the space of an index
            if index is None:
                for left in folder.glob("*/"):  # half done or damaged
                    shutil.rmtree(left, ignore_errors=True)
                _keep(ledger, folder, "")
                if ahead is not None:
                    ahead.move_to(directory)
                index = _builder(inputs.train, plan, shared=shared, with_rows=ahead is not None)(
                    n_train=inputs.train_facts.n_rows,
                    n_features=inputs.n_features,
                    dtype=inputs.dtype,
                    metric=options.metric,
                    directory=directory,
                    index=options.index,
                )
            _keep(ledger, folder, index.digest)
            if isinstance(index, IndexReference) and not isinstance(index, LocalIndex):
                spark = inputs.train.data_frame.sparkSession
                shipping = replicated.choose_shipping(spark, plan.index_bytes, shared=shared)
                index = replicated.ship_index(spark, index, shipping)
            now.rows, now.note = index.n_train, f"{now.note}{show_bytes(index.n_bytes)}, {index.shipping}"
        yield index


def _root(work_dir: str | None) -> Path:
    return Path(work_dir or tempfile.gettempdir())


def index_validation(inputs: ValidatedInputs, metric: str, train: IndexReference) -> IndexReference:
    """Return an index of the validation rows beside that of the training rows, which hosts reach in the same way."""
    directory = Path(train.directory).with_name("validation")
    shutil.rmtree(directory, ignore_errors=True)  # of an earlier start
    index = _builder(inputs.validation, None, shared=train.shipping == "shared")(
        n_train=inputs.validation_facts.n_rows,
        n_features=inputs.n_features,
        dtype=inputs.dtype,
        metric=metric,
        directory=directory,
        index=EXACT,
    )
    whole = cast("IndexReference", index)  # without a plan there are no blocks
    if isinstance(train, LocalIndex):
        return whole
    return replicated.ship_index(inputs.validation.data_frame.sparkSession, whole, train.shipping)


def _builder(rows: Rows, plan: Plan | None, *, shared: bool, with_rows: bool = False) -> IndexBuilder:
    """Return what writes an index of the kind that the plan needs, where the rows are; None: that of whole tables.

    ``with_rows``: as of `IndexWriter`.
    """
    if isinstance(rows.frame, LocalRows):
        keys = given(rows.keys, "keys of rows read here")
        return partial(by_workers.build_index, gather=rows.gathered, keys=keys, with_rows=with_rows)
    if plan is not None and plan.name == "sharded":
        build = partial(sharded.build_blocks, rows.frame, gather=rows.gathered, keys=rows.keys)
        return partial(build, block_rows=plan.block_rows, shared=shared)
    return partial(
        packing.build_index, rows.frame, gather=rows.gathered, keys=rows.keys, shared=shared, with_rows=with_rows
    )


def _finished(frame: Frame, plan: Plan, directory: Path, digest: str) -> Index | None:
    """Return the index for this plan that was finished in ``directory``; None if it is missing or damaged."""
    if isinstance(frame, LocalRows):
        return by_workers.finished(directory, digest)
    if plan.name == "sharded":
        return sharded.finished_blocks(frame.sparkSession, directory, digest, plan.block_rows)
    return finished_index(directory, digest)


def _keep(ledger: Ledger | None, folder: Path, digest: str) -> None:
    if ledger is not None:
        ledger.keep_index(KeptIndex(folder.name, digest))

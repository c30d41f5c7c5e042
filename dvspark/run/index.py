"""Index: training rows become their index, or a run that was killed takes over the index it had finished."""

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
from dvspark.engine.sharded import sharded
from dvspark.host.own_folder import own_folder
from dvspark.kernels.ranking.ordered import given
from dvspark.local.rows import LocalRows
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.runs.ledger import KeptIndex, Ledger
from dvspark.schemas import EXACT
from dvspark.tables.sources.rows import Rows
from dvspark.tables.table_checks import ValidatedInputs
from dvspark.units import show_bytes

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


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

    A run that was killed goes on with the index that it had finished, if all files have their sha256.
    """
    root, shared = Path(work_dir or tempfile.gettempdir()), work_dir is not None
    kept = None if ledger is None else ledger.index()
    frame = inputs.train.frame
    with own_folder(root, plan.index_bytes, kept.folder if kept else None) as folder:
        directory = folder / "index"
        with stages.stage("index") as now:
            index = _finished(frame, plan, directory, kept.digest) if kept else None
            now.note = "finished before; " if index else ""
            if index is None:
                for left in folder.glob("*/"):  # half done or damaged
                    shutil.rmtree(left, ignore_errors=True)
                _keep(ledger, folder, "")
                index = _builder(inputs.train, plan, shared=shared)(
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


def _builder(rows: Rows, plan: Plan | None, *, shared: bool) -> IndexBuilder:
    """Return what writes an index of the kind that the plan needs, where the rows are; None: that of whole tables."""
    if isinstance(rows.frame, LocalRows):
        return partial(by_workers.build_index, gather=rows.gathered, keys=given(rows.keys, "keys of rows read here"))
    if plan is not None and plan.name == "sharded":
        return partial(sharded.build_blocks, rows.frame, block_rows=plan.block_rows, keys=rows.keys, shared=shared)
    return partial(packing.build_index, rows.frame, gather=rows.gathered, keys=rows.keys, shared=shared)


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

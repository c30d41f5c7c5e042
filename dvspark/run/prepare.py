"""Prepare: what a kind of methods must know before rows are valued, what tasks are told, and the validation rows.

The stage is named after what it settles: "neighbors" for `radius` methods, "sums" for `sums` methods,
"utility" for `games` methods, "whole" for `whole` methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.engine.engines import Index, engine_of
from dvspark.engine.groups import Groups
from dvspark.engine.planning.cluster import session_of
from dvspark.engine.points import points_of
from dvspark.engine.replicated.chunk_frames import held_if_few
from dvspark.engine.tasks import ChunkWork
from dvspark.logs import Stage, Stages
from dvspark.methods.kinds.games import GamesMethod
from dvspark.methods.kinds.radius import AUTO, SAMPLE_POINTS, RadiusMethod
from dvspark.privacy import Release
from dvspark.run.index import index_validation
from dvspark.run.kinds import games, neighbors, sums, whole
from dvspark.run.kinds.neighbors import Keep, released
from dvspark.run.kinds.shared_game import SharedGame
from dvspark.run.validate import Checked
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Float64s
from dvspark.tables.table_checks import ValidatedInputs

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


@dataclass(frozen=True)
class Prepared:
    """The validation rows in ``n_chunks`` chunks, what tasks must know, and what a private run releases.

    ``groups``: of the validation rows, if they do not all count alike.
    ``shared``: the game of all validation rows, for methods where they share one.
    """

    validation_rows: Frame
    n_chunks: int
    work: ChunkWork
    release: Release | None = None
    shared: SharedGame | None = None
    groups: Groups | None = None


# What settles something before rows are valued; it also returns a text about it.
Preparation = Callable[[Prepared, Index, Stage], tuple[Prepared, str]]


def prepare_method(checked: Checked, n_chunks: int, index: Index, ledger: Ledger | None, stages: Stages) -> Prepared:
    """Return what is needed to value rows; ``ledger`` keeps epochs, and beside it a private release before its use."""
    work = ChunkWork(checked.options, checked.parameters)
    prepared = Prepared(_held(checked.inputs), n_chunks, work, checked.release, groups=checked.groups)
    keep = None if ledger is None else Keep(ledger.files, checked.run_id, checked.fingerprint)
    find_neighbors = partial(_find_neighbors, keep=keep, n_rows=checked.inputs.validation_facts.n_rows)
    # By kind, the stage that settles something before rows are valued.
    preparations: dict[str, tuple[str, Preparation]] = {
        "radius": ("neighbors", find_neighbors),
        "sums": ("sums", partial(_settle_sums, ledger=ledger)),
        "whole": ("whole", _settle_whole),
        "games": ("utility", partial(_settle_game, inputs=checked.inputs)),
    }
    if (found := preparations.get(checked.options.declaration.kind)) is not None:
        name, settle = found
        with stages.stage(name) as now:
            prepared, now.note = settle(prepared, index, now)
    return prepared


def _held(inputs: ValidatedInputs) -> Frame:
    """Return the validation rows; those of Spark that are few are held by the driver."""
    rows = inputs.validation
    if rows.spark is None:
        return rows.frame
    return held_if_few(rows.data_frame, rows.types, inputs.validation_facts.n_rows, inputs.n_features)


def _find_neighbors(
    prepared: Prepared,
    index: Index,
    _now: Stage,
    keep: Keep | None,
    n_rows: int,
) -> tuple[Prepared, str]:
    """Settle the radius and, for a private method, the noisy counts."""
    work, frame, engine = prepared.work, prepared.validation_rows, engine_of(index)
    method = RadiusMethod.of(work.method)
    parameters = method.own(work.parameters)
    if parameters.radius == AUTO:
        options = work.options.ranking_options(work.parameters, index.n_train)
        sample = points_of(frame).sample_rows(frame, SAMPLE_POINTS)

        def tenth_of(points: pa.Table) -> Float64s:
            alone = work.options.self_validation
            return engine.tenth_distances(frame, points, index, options, self_validation=alone)

        radius = neighbors.automatic_radius(method, sample, tenth_of, options.metric, index.n_train)
        parameters = replace(parameters, radius=radius)
        work = replace(work, parameters=parameters)
    said = f"radius {parameters.settled_radius:.6g}"
    if not method.is_private:
        return replace(prepared, work=work), said
    points = points_of(frame)
    chunks = points.chunked(frame, prepared.n_chunks)

    def counts_of(sampled: ChunkWork) -> pa.Table:
        return engine.neighbor_counts(chunks, points.chunk_sizes(chunks), index, sampled)

    if keep is not None:
        keep.files.make_private("private")
    release, sample_key, noisy = released(work, n_rows, counts_of, keep)
    said += f", noise of sigma {release.sigma:.4g} on the counts"
    work = replace(work, sample_key=sample_key)
    return Prepared(points.with_counts(frame, noisy), prepared.n_chunks, work, release), said


def _settle_sums(prepared: Prepared, index: Index, now: Stage, ledger: Ledger | None) -> tuple[Prepared, str]:
    """Settle the head, the game and the values; of epochs, each is kept in the ledger, if there is one."""
    work, frame = prepared.work, prepared.validation_rows
    rows = sums.TrainRows.of(index, frame, work)
    shared = sums.HeadGame(work, sums.settled(frame, prepared.n_chunks, rows, now, ledger))
    return replace(prepared, shared=shared), shared.note


def _settle_game(prepared: Prepared, index: Index, _now: Stage, inputs: ValidatedInputs) -> tuple[Prepared, str]:
    """Settle the utility, which is made of both tables."""
    work, session = prepared.work, session_of(prepared.validation_rows)
    method = GamesMethod.of(work.method)
    metric = work.options.metric if method.compares_by(work.options.parameters) else "euclidean"
    validation = index_validation(inputs, metric, games.whole(index))
    given = method.own(work.parameters).values
    shared = games.settled(method, given, work.options, session, (index, validation))
    return replace(prepared, shared=shared), shared.note


def _settle_whole(prepared: Prepared, index: Index, _now: Stage) -> tuple[Prepared, str]:
    """Settle both tables, of which the driver holds the validation rows."""
    shared = whole.settled(prepared.validation_rows, prepared.n_chunks, index, prepared.work)
    return replace(prepared, shared=shared), shared.note

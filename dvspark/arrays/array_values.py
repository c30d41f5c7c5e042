"""Array values: values of NumPy arrays in this process. The engines are tested against them."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import warnings
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from dvspark.arrays.array_inputs import ArrayInputs, Given, read_array_inputs
from dvspark.arrays.hidden_values import hidden, require_same
from dvspark.arrays.other_inputs import graph_values
from dvspark.arrays.owned_inputs import GivenOwned
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.engine.index.search import searched
from dvspark.errors import ConfigError, DataWarning, Problem, written
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.kinds import Parameters, RadiusFormulas
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods import METHODS
from dvspark.methods.base import Method
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.kinds.shared import SharedMethod
from dvspark.methods.options import ValueOptions
from dvspark.methods.point_weights import WeightedSum, alike_points
from dvspark.privacy import KeptRelease, private_release
from dvspark.schemas import OWNED, ChunkArrays, Float64s, Int64s, Partial, TrainArrays, columns


# Overloads say what the result depends on; names and types of the options are those of the function below.
@overload
def value_arrays(
    x_train: npt.ArrayLike | None,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    error_bound: Literal[False] = False,
    **options: Any,
) -> Float64s: ...


@overload
def value_arrays(
    x_train: npt.ArrayLike | None,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    error_bound: Literal[True],
    **options: Any,
) -> tuple[Float64s, Float64s]: ...


def value_arrays(
    x_train: npt.ArrayLike | None,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    method: str = "knn_shapley",
    k: int = 10,
    metric: str = "euclidean",
    train_ids: Any = None,
    owners: Any = None,
    weights: Any = None,
    validation_weights: Any = None,
    x_owned: npt.ArrayLike | None = None,
    y_owned: Any = None,
    owned_ids: Any = None,
    n_classes: int | None = None,
    aggregate: str = "mean",
    precision: str = "default",
    ties: str = "id",
    ranking: str = "auto",
    tolerance: float = 1e-8,
    error_bound: bool = False,
    self_validation: bool = False,
    knn_graph: Any = None,
    release: KeptRelease | None = None,
    **method_params: Any,
) -> Float64s | tuple[Float64s, Float64s]:
    """Return the value of each training row, float64 (n_train,), in the order given.

    Arrays may be those of NumPy, lists, or frames and columns of pandas, Arrow, Polars or `datasets`.
    - ``x_train`` (n_train, n_features) and ``x_validation`` (n_validation, n_features): finite numbers.
    - ``y_train`` and ``y_validation``: integers or strings; or a sequence of them for each row, where two rows match if
      they share a label; or numbers to predict, under regression.
    - ``train_ids`` (n_train,): rows at equal distance rank by ascending id; without ids, by position.
    - ``owners`` (n_train,), integers or strings, and ``weights`` (n_train,) or (n_validation, n_train), from 0: only
      for methods that use them. Methods that value owners return (n_owners,), in ascending order of the owners.
    - ``validation_weights`` (n_validation,), from 0: how much each validation row counts, such as those of several
      tasks, buyers or months.
    - ``x_owned`` (n_owned, n_features), ``y_owned`` and ``owned_ids`` (n_owned,): only for knn_acquisition_shapley,
      rows that are owned already. They get no values. Give ids of both tables or of neither; without ids, an owned row
      comes before a training row at the same distance.
    - ``knn_graph`` (n_train, n_train): only for cleanlab_knn_shapley, a scipy sparse matrix of distances in place of
      ``x_train``, which may then be None.
    - ``self_validation=True``: leave the validation arrays out. Every training row is then a validation point too, and
      sits out its own game.
    - ``error_bound=True``: the result is a pair, the values and, in the same shape, how far each value may be from the
      exact one.

    The value is the mean over validation points, or with ``aggregate="sum"`` their sum; of points with weights w, the
    values φ give Σ w φ / Σ w, or Σ w φ. The function warns
    (DataWarning) of labels that say nothing, such as one label that all rows share, and of what a job would find about
    values, such as a head that is not trained.

    A private method draws noise: **every call spends epsilon and delta again**, and noise that is drawn several times
    can be averaged away. Pass the same ``release``, a `dvspark.privacy.KeptRelease`, to each call. It keeps the noise
    of the first call; later calls on the same tables and parameters use this noise and spend nothing.

    Cost: O(V (N D + N log N)) for V validation points; points of one validation weight share products. Memory beside
    the inputs: `kernels.memory.scratch_bytes`, and one copy of ``x_train`` unless it is float32 or float64 and in id
    order.
    Raises: ConfigError for unusable options, InputError for unusable data; each names all problems.
    Source: that of the method, see `dvspark.methods`.
    """
    options = ValueOptions.of(
        method,
        k,
        n_classes,
        method_params,
        metric=metric,
        precision=precision,
        ties=ties,
        aggregate=aggregate,
        ranking=ranking,
        tolerance=tolerance,
        error_bound=error_bound,
        self_validation=self_validation,
    )
    if release is not None and not (method in list(METHODS) and METHODS[method].is_private):
        hint = "leave it out: nothing private is released"
        raise ConfigError(Problem("release", "a private method", written(method), hint))
    if knn_graph is not None:
        return graph_values(knn_graph, y_train, options)
    owned = GivenOwned(x_owned, y_owned, owned_ids)
    given = Given(x_train, y_train, x_validation, y_validation, train_ids, owners, weights, validation_weights, owned)
    inputs = read_array_inputs(given, options)
    for finding in inputs.findings(options) + (owned.findings() if OWNED.name in options.asks else []):
        warnings.warn(str(finding), DataWarning, stacklevel=2)
    if inputs.validation_weights is not None:
        values, bounds = _weighted(inputs, options, inputs.validation_weights, release)
    else:
        totals = array_totals(inputs, options, release)
        values, _ = finalize(totals, aggregate, options.declaration.score)
        bounds = certificate(totals, aggregate)[1] if error_bound else None
    if options.players == "owners":  # owners are in ascending order, whatever the order of the rows
        return values if bounds is None else (values, bounds)
    result = _as_given(values, inputs)
    return result if bounds is None else (result, _as_given(bounds, inputs))


def _weighted(
    inputs: ArrayInputs, options: ValueOptions, weights: Float64s, release: KeptRelease | None
) -> tuple[Float64s, Float64s | None]:
    """Return the values by validation points with weights, and the certificates if they were asked for."""
    alike = alike_points(weights)
    sums = array_sums(inputs, options, release, [group.places for group in alike])
    totals = WeightedSum(len(sums[0].value), row_bounds=options.row_bounds)
    for group, partial in zip(alike, sums, strict=True):
        totals.add(group.weight, partial)
    if options.aggregate == "mean":
        return totals.value / totals.weight, None if totals.bounds is None else totals.bounds / totals.weight
    largest = float(weights.max())
    return totals.value * largest, None if totals.bounds is None else totals.bounds * largest


def array_totals(inputs: ArrayInputs, options: ValueOptions, release: KeptRelease | None = None) -> Partial:
    """Return the sums over all validation points, see `array_sums`."""
    return array_sums(inputs, options, release, [np.arange(len(inputs.validation_labels))])[0]


def array_sums(
    inputs: ArrayInputs, options: ValueOptions, release: KeptRelease | None, groups: Sequence[Int64s]
) -> list[Partial]:
    """Return for each group of validation points, at these places, the sums over them, chunk by chunk in this order.

    ``release`` is for private methods: it keeps the noise.
    Raises: ConfigError for options or parameters that do not fit the tables; InputError for a release of other tables
    or parameters.
    """
    parameters, method = options.resolved(inputs.n_classes), options.declaration
    several = columns.is_multi_label(inputs.train_labels) or columns.is_multi_label(inputs.validation_labels)
    if problems := method.label_problems(several=several):
        raise ConfigError(problems)
    words = columns.label_vocabulary(inputs.train_labels)
    train = prepare(inputs.x_train, columns.encode_train_labels(inputs.train_labels, words), options.metric)
    train = dataclasses.replace(train, columns=inputs.train_columns)
    problems = method.size_problems(train.n_train - options.self_validation, parameters)
    if problems := problems + options.table_problems(*train.x.shape):
        raise ConfigError(problems)
    train = searched(train, options.index, options.metric)
    ranking_options = options.ranking_options(parameters, train.n_train)
    codes = columns.encode_labels(inputs.validation_labels, words)
    points = ChunkArrays(
        inputs.x_validation,
        codes,
        np.arange(len(codes)) if options.self_validation else None,
        targets=inputs.validation_targets,
        weights=inputs.point_weights,
    )
    if not method.adds_up:  # all points share one game, so they are not cut into chunks
        labels = inputs.train_labels, inputs.validation_labels
        shared: SharedMethod[Parameters] = SharedMethod.of(method)
        return [shared.one_game(train, points, labels, ranking_options, parameters)]
    counting = np.sort(np.concatenate(groups))  # points of weight 0 are in no group
    settling = points if len(counting) == points.n_validation else points.take(counting)
    parameters = method.settled_parameters(train, settling, ranking_options, parameters)
    kept = release or KeptRelease()
    if method.hides == "counts":
        private = PrivateMethod.of(method)
        train, points = _released(private, train, points, ranking_options, private.own(parameters), kept)
    sums, workspace = list[Partial](), Workspace()
    for places in groups:
        sums.append(_no_points(method, train, options))
        for chunk in _chunks(points, places):
            sums[-1].add(method.partial(train, chunk, ranking_options, parameters, workspace))
    if method.hides == "values":
        of = _digest(train, points, ranking_options, parameters)
        sums = [hidden(method, sums[0], parameters, kept, of)]  # such methods refuse weights of points
    total = sums[0] if len(sums) == 1 else reduce(Partial.plus, sums, _no_points(method, train, options))
    for said in method.warnings(total):
        warnings.warn(said, DataWarning, stacklevel=4)
    return sums


def _no_points(method: Method[Parameters], train: TrainArrays, options: ValueOptions) -> Partial:
    return Partial.zeros(method.n_values(train.n_train, train.columns.n_owners), row_bounds=options.row_bounds)


def _chunks(points: ChunkArrays, places: Int64s) -> Iterator[ChunkArrays]:
    for start in range(0, len(places), CHUNK_ROWS):
        yield points.take(places[start : start + CHUNK_ROWS])


def _released(
    method: PrivateMethod,
    train: TrainArrays,
    points: ChunkArrays,
    options: RankingOptions,
    parameters: RadiusFormulas,
    kept: KeptRelease,
) -> tuple[TrainArrays, ChunkArrays]:
    """Return training rows and points with noisy counts, which are drawn once and kept in ``kept``.

    If the release samples rows, the rows of the sample are marked.
    Raises: InputError if ``kept`` is a release of other tables or parameters.
    """
    of = _digest(train, points, options, parameters)
    require_same(kept, of)
    if kept.noisy_counts is None:
        kept.release, kept.of = method.release(parameters, points.n_validation), of
        kept.sample_key = secrets.token_bytes(32) if kept.release.sampling_rate < 1 else None
    if kept.sample_key is not None:
        drawn = method.sample(range(train.n_train), kept.sample_key, parameters)
        train = dataclasses.replace(train, columns=dataclasses.replace(train.columns, sampled=drawn))
    if kept.noisy_counts is None and kept.release is not None:
        counts = [
            method.counts(train, chunk, options, parameters)
            for chunk in _chunks(points, np.arange(points.n_validation))
        ]
        kept.noisy_counts = private_release(np.concatenate(counts), kept.release)
    return train, dataclasses.replace(points, counts=kept.noisy_counts)


def _digest(train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: Parameters) -> str:
    """Return the sha256 of everything on which noisy counts depend: tables, parameters and metric."""
    found = hashlib.sha256(repr((sorted(parameters.plain().items()), options.metric)).encode())
    labels, owners = train.labels, train.columns.owners
    for array in (train.x, labels.codes, labels.offsets, labels.postings, owners, points.x, *points.labels):
        found.update(b"-" if array is None else f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def _as_given(in_id_order: Float64s, inputs: ArrayInputs) -> Float64s:
    result = np.empty_like(in_id_order)
    result[inputs.train_order] = in_id_order
    return result[: inputs.n_valued]

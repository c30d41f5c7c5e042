"""Functions for Spark DataFrames: top contributors and their index, CHG-Shapley values, embeddings, NumPy shards."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.arguments import count_problems
from dvspark.arrays.gradient_frames import frame_values
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.replicated import packing, replicated
from dvspark.engine.replicated.contributors import contributors_of
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Contributors
from dvspark.tables.sources.given_frames import column_problems, frame_problems
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import canonical_rows
from dvspark.tables.sources.session_settings import in_own_settings, session_problems
from dvspark.tables.sources.unreadable import readable
from dvspark.tables.table_checks import validate

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    ColumnFunction = Callable[[str | Column, str | Column], Column]


def register_sources(spark: SparkSession) -> None:
    """Let a session read NumPy shards: `spark.read.format("dvspark-npy").load(folder)`.

    The folder has .npy files in img_emb or text_emb, and a Parquet file for each in metadata; the options
    ``embeddings`` and ``metadata`` name other folders. The table has the columns of the metadata, and ``embedding``.
    Embeddings are mapped, and given to Spark without a copy; those of float16 become float32. All hosts need dvspark,
    and see the files under one path. A job reads such a folder with ``train.format: dvspark-npy``.
    """
    from dvspark.tables.sources.formats.npy_source import NpySource  # noqa: PLC0415 - needs an extra

    if problems := session_problems("spark", spark):
        raise ConfigError(problems)
    spark.dataSource.register(NpySource)


def embed(load: Callable[[], Callable[[Any], Any]], *, batch_size: int = 256) -> Callable[[str | Column], Column]:
    """Return a column function that makes embeddings of texts, or of images in bytes, by any model.

    Use it as ``frame.withColumn("embedding", embed(load)("text"))``. ``load`` takes nothing and returns the model: a
    function from an array of n texts (or bytes), at most ``batch_size`` of them, to n rows of numbers, all of one
    length. It is called once in each Python worker, where it may import, read files and open a device.
    The column is ``array<float>``. Cost: the model's, and a copy of texts and numbers between Java and Python.
    Raises: ConfigError for an unusable size; in tasks InputError for nulls, and for a model that returns anything but
    n rows of finite numbers.
    """
    from pyspark.ml.functions import predict_batch_udf  # noqa: PLC0415 - an extra
    from pyspark.sql.types import ArrayType, FloatType  # noqa: PLC0415 - an extra

    problems = count_problems("batch_size", batch_size, "how many rows the model is given at once")
    hint = "give a function without arguments that returns the model"
    problems += _type_problems("load", load, "a function", hint, is_right=callable(load))
    if problems:
        raise ConfigError(problems)

    def checked() -> Callable[[Any], Any]:
        model = load()
        return lambda given: _embedded(model, given)

    column: Callable[[str | Column], Column] = predict_batch_udf(
        checked, return_type=ArrayType(FloatType()), batch_size=batch_size
    )
    return column


def _embedded(model: Callable[[Any], Any], given: Any) -> Any:
    """Return the model's rows for a batch as float32. Raises: InputError."""
    where = "dvspark.functions.embed"
    if nulls := sum(one is None for one in given):
        got, hint = f"{nulls} nulls in a batch", "filter them out first"
        raise InputError(Problem(where, "a text, or bytes, in each row", got, hint))
    returned = model(given)
    made = np.asarray(returned)
    is_matrix = made.ndim == 2 and len(made) == len(given) and made.dtype.kind in "fiu"
    with np.errstate(over="ignore"):
        found = made.astype(np.float32, copy=False) if is_matrix else made
    if not is_matrix or np.ma.is_masked(returned) or not np.isfinite(found).all():
        got = f"{made.dtype} of shape {made.shape}" if not is_matrix else "NaN, masked, or too large for float32"
        hint = "return one row of numbers for each row that is given"
        raise InputError(Problem(where, f"finite numbers of shape ({len(given)}, ...) from the model", got, hint))
    return found


@in_own_settings
def build_index(
    train_df: DataFrame,
    *,
    metric: str = "euclidean",
    columns: dict[str, str] | None = None,
    directory: str | None = None,
    shared: bool = False,
) -> IndexReference:
    """Return an index of the rows of ``train_df``, for `top_contributors`.

    ``train_df`` has the columns id, embedding and label; ``columns`` maps these names to the names in the DataFrame.
    The files of the index lie in ``directory``, or in a new temporary folder, and stay until you remove them. Set
    ``shared`` if all hosts see that folder.
    Cost: one sort of the table; 4 N D bytes on disk for N rows of D features.
    Raises: ConfigError for unusable options, InputError for unusable rows; each names all problems.
    """
    options = ValueOptions(metric=metric)
    problems = options.problems() + frame_problems({"train_df": train_df}) + column_problems(columns)
    is_path, hint = isinstance(directory, str | os.PathLike | None), "leave it out, or name a folder"
    problems += _type_problems("directory", directory, "a path", hint, is_right=is_path)
    if problems:
        raise ConfigError(problems)
    rows = canonical_rows("train", train_df, TableReference.of_frame("train_df", columns))
    inputs = validate(rows, None, options, "fail")
    packed = packing.build_index(
        inputs.train.data_frame,
        n_train=inputs.train_facts.n_rows,
        n_features=inputs.n_features,
        dtype=inputs.dtype,
        metric=metric,
        directory=Path(directory or tempfile.mkdtemp(prefix="dvspark-")) / "index",
        shared=shared,
    )
    shipping = replicated.choose_shipping(train_df.sparkSession, packed.n_bytes, shared=shared)
    return replicated.ship_index(train_df.sparkSession, packed, shipping)


def top_contributors(
    index: IndexReference,
    *,
    k: int = 10,
    top: int = 5,
    method: str = "knn_shapley",
    n_classes: int | None = None,
    ties: str = "id",
) -> ColumnFunction:
    """Return a column function: for each validation point, the training rows with the highest and the lowest values.

    Use it as ``validation_df.withColumn("contributors", top_contributors(index)("embedding", "label"))``.
    The column is ``array<struct<id, value>>``: up to ``top`` rows of positive value, the highest first, then up to
    ``top`` rows of negative value, the lowest last. Among equal values the nearer row is taken first.
    The values are those of this one point; a job reports their mean over all points. ``n_classes`` is needed by
    soft_knn_shapley.
    Cost of a point: that of the method, O(N D + N log N). Memory of a worker: `kernels.memory.scratch_bytes`.
    Raises: ConfigError for unusable parameters, or without a Spark session.
    """
    import pandas as pd  # noqa: PLC0415 - an extra
    from pyspark.errors import PySparkRuntimeError  # noqa: PLC0415 - an extra
    from pyspark.sql.functions import pandas_udf  # type: ignore[attr-defined]  # noqa: PLC0415 - an extra

    is_index, hint = isinstance(index, IndexReference), "make one by dvspark.functions.build_index"
    if problems := _type_problems("index", index, "an index of training rows", hint, is_right=is_index):
        raise ConfigError(problems)
    options = ValueOptions.of(method, k, n_classes, {}, metric=index.metric, ties=ties)
    problems = options.problems()
    if not problems and not options.declaration.bins:
        shown = ", ".join(name for name, one in METHODS.items() if one.bins)
        problems.append(
            Problem("method", f"one of {shown}", written(method), "this function ranks all rows of a point")
        )
    problems += count_problems("top", top, "how many rows of each sign to show")
    if not problems and options.declaration.knows("n_classes") and n_classes is None:
        hint = "count the labels of both tables: a column function sees one batch at a time"
        problems.append(Problem("n_classes", f"the number of classes, for {method}", "None", hint))
    if problems:
        raise ConfigError(problems)
    resolved = options.resolved(0)

    def contributors(embedding: Any, label: Any) -> Any:
        import pandas as pd  # noqa: PLC0415 - an extra, on executors

        opened = replicated.open_here(index)
        return pd.Series(contributors_of(opened, embedding, label, options, resolved, top))

    # Spark reads the annotations and needs types; those of this module are strings.
    contributors.__annotations__ = dict.fromkeys(("embedding", "label", "return"), pd.Series)
    # This process has packed the index; only tasks find what travels with the job, under Spark Connect at least.
    here = replicated.open_here(dataclasses.replace(index, shipping="in_place"))
    id_type = "bigint" if pa.types.is_integer(here.keys["id"].type) else "string"
    try:
        column: ColumnFunction = pandas_udf(contributors, Contributors().ddl.format(id=id_type))
    except PySparkRuntimeError as error:
        raise ConfigError(Problem("the Spark session", "one that runs", str(error), "start one first")) from error
    return column


@readable()
@in_own_settings
def chg_values(
    gradients_df: DataFrame,
    *,
    id: str = "id",  # noqa: A002 - the column's role, as everywhere
    gradient: str = "gradient",
    loss: str | None = None,
    alpha: Any = None,
    by: str | None = None,
    epoch: str | None = None,
) -> DataFrame:
    """Return the CHG-Shapley value of each row: a DataFrame of id and value, and of ``by`` if it is given.

    The column ``gradient`` holds for each row its loss times its gradient in the last layer: p numbers, in any form
    that embeddings may have. With ``loss``, a column of losses from 0, it holds the gradient alone.
    ``alpha`` (p,) is the target for the mean of a set of rows; None means the mean of all rows. ``by`` is a column of
    classes; the rows of each class are a game of their own. ``epoch`` is a column of numbers or words: a row comes once
    in each epoch, always in one class, the rows of an epoch are a game, and a value is the mean over the row's epochs.
    The values are those of `dvspark.chg_value_arrays`. Neither partitions nor the order of rows change a bit.
    Cost: three passes over the gradients, O(p) a row, and one more pass when the result is asked for; with ``epoch``
    as many for each epoch, so let it be what the table is partitioned by. Cache a table that may change meanwhile. No
    row travels. Memory of a task, and bytes sent to each task: about 40 p for each class.
    Raises: ConfigError for unusable arguments; InputError with everything that is wrong with the rows; AuditError if
    the values of a game do not sum to its utility.
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, in centered form and for any n.
    """
    columns: dict[str, Any] = {"id": id, "gradient": gradient, "loss": loss, "by": by, "epoch": epoch}
    problems = frame_problems({"gradients_df": gradients_df})
    for where, column in columns.items():
        is_name = isinstance(column, str) or (column is None and where not in ("id", "gradient"))
        problems += _type_problems(
            where, column, "the name of a column", "a column's name is a string", is_right=is_name
        )
    if problems:
        raise ConfigError(problems)
    return frame_values(gradients_df, (id, gradient, by, loss), alpha, epoch)


def _type_problems(where: str, given: object, expected: str, hint: str, *, is_right: bool) -> list[Problem]:
    """Return that an argument has another type than expected, unless it is right."""
    return [] if is_right else [Problem(where, expected, type(given).__name__, hint)]

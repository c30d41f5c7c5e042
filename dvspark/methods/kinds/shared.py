"""Methods for which all validation rows share one game, so that values do not add up point by point."""

from __future__ import annotations

import time
import warnings
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from dvspark.errors import ComputeError, DataWarning, Problem
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.ranking.ordered import given
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.methods.base import Method, P
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Finding, Partial, TrainArrays


@dataclass(frozen=True, kw_only=True)
class SharedMethod(Method[P], ABC):
    """A method that values rows by one game of all validation rows."""

    ranks: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    adds_up: ClassVar[bool] = False
    # Begins the hint to rows of several labels.
    why_one_label: ClassVar[str] = ""

    def one_game(
        self,
        train: TrainArrays,
        points: ChunkArrays,
        labels: tuple[pa.Array, pa.Array],  # noqa: ARG002 - codes say as much, but of labels that no training row has
        options: RankingOptions,
        parameters: P,
    ) -> Partial:
        """Return the partial of all points; ``labels`` of training rows and of points.

        Warns (DataWarning) of findings that a job would record. Raises: ComputeError if one fails.
        """
        partial, findings = self.settled_game(train, points, options, parameters)
        for finding in findings:
            expected = f"at most {finding.allowed:.3g}: {finding.meaning}"
            hint = f"read of {self.name} in docs/methods, or value by another method"
            problem = Problem(finding.name, expected, f"{finding.measured:.3g}", hint)
            if finding.verdict == "fail":
                raise ComputeError(problem)
            if finding.verdict == "warn":
                warnings.warn(str(problem), DataWarning, stacklevel=5)  # where `value_arrays` was called
        return partial

    def settled_game(
        self, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: P
    ) -> tuple[Partial, list[Finding]]:
        """Return the partial of all points, and what the method itself finds about it."""
        return self.partial(train, points, options, parameters), []

    def label_problems(self, *, several: bool) -> list[Problem]:
        """Return what is wrong with the labels; ``several``: a row may have several labels."""
        if not several:
            return []
        hint = f"{self.why_one_label.format(self.name)}choose one label of each row, or use knn_shapley"
        return [Problem("labels", f"one label a row, for {self.name}", "arrays of labels", hint)]

    def scratch_bytes(self, sizes: JobSizes, rows: int) -> int:  # noqa: ARG002
        """Return 0: the driver works alone, unless a kind says otherwise."""
        return 0

    def merging_bytes(self, sizes: JobSizes) -> int:  # noqa: ARG002
        """Return 0: no task puts together what blocks have reported."""
        return 0

    def sample_sizes(self, sizes: JobSizes, most: int) -> tuple[int, int]:
        """Return of how many random rows and points `shared_seconds` judges; ``most`` rows."""
        return min(most, sizes.n_train), 1

    def shared_seconds(
        self, sizes: JobSizes, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: P
    ) -> float:
        """Return the CPU seconds that the game of all rows takes, judged by random rows."""
        began = time.process_time()
        self.partial(train, points, options, parameters)
        return (time.process_time() - began) * sizes.n_train / train.n_train


def labelled_rows(train: TrainArrays) -> AnyPiece:
    """Return embeddings and label codes of training rows, which have one label each (`SharedMethod.label_problems`)."""
    codes = given(train.labels.codes, "one label a row")
    return (train.x, codes) if train.columns.losses is None else (train.x, codes, train.columns.losses)


def labelled_points(chunk: ChunkArrays) -> AnyPiece:
    """Return embeddings and label codes of the validation rows whose label some training row has."""
    known = np.array([len(codes) == 1 for codes in chunk.labels], np.bool_)
    of_known = [codes for codes in chunk.labels if len(codes) == 1]
    codes = np.concatenate(of_known) if of_known else np.empty(0, np.int32)
    return (chunk.x[known], codes) if chunk.losses is None else (chunk.x[known], codes, chunk.losses[known])

"""Votes: which labels a row may have, and what speaks for each: its neighbors, and a head that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.review.near import NearTable
from dvspark.schemas import Bools, Float64s, Int32s, Int64s

# So many rows are tallied at a time.
TALLIED_ROWS = 2**15
# The share of a label among all rows counts as so many votes for it, so that no label is impossible.
PRIOR_VOTES = 1.0
# The least probability of the head that counts.
LEAST_PROBABILITY = 1e-6
# The labels of a row that the head finds most probable are among those that the row may have.
HEAD_LABELS = 2

# From the place of the first of some rows, and the place past the last, to the log probabilities of all their labels,
# (n_rows, n_codes).
LogProbabilities = Callable[[int, int], Float64s]


@dataclass(frozen=True)
class RowLabels:
    """Labels of rows as codes: ``codes[offsets[i]:offsets[i + 1]]`` are those of row i, ascending."""

    offsets: Int64s
    codes: Int32s

    @classmethod
    def of(cls, rows: list[Int32s]) -> RowLabels:
        """Return the labels of rows that have a list of codes each."""
        sizes = np.array([len(codes) for codes in rows], np.int64)
        return cls(np.append(0, np.cumsum(sizes)), np.concatenate([np.empty(0, np.int32), *rows]).astype(np.int32))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def keys(self, of: Int64s, rows: Int32s, n_codes: int) -> Int64s:
        """Return a key, row ``of[i]`` times ``n_codes`` plus code, for each label of each row ``rows[i]``."""
        first, sizes = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        before = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(first - before, sizes)
        keys: Int64s = np.repeat(of.astype(np.int64), sizes) * n_codes + self.codes[places]
        return keys


@dataclass(frozen=True)
class Choices:
    """The labels that n items may have, in one list; those of item i stand at ``starts[i]:starts[i + 1]``.

    An item is a row, or a row and a label that it may have beside others.
    - ``codes`` (n_choices,) int32, ascending for each item; ``item_of`` (n_choices,) int64 is the item of each.
    - ``features`` (n_choices, n_features) float64: logarithms of the shares that speak for each.
    - ``given`` (n,) int64: the place in the list of the label that the item has.
    - ``votes`` (n_choices,) int32: how many of the nearest rows have this label.
    - ``n_rest`` (n,) int64: how many labels item i has not among its choices: nobody votes for them. ``rest``
      (n, n_features): what speaks for one of these, on average. Without them an item that has a label for which nobody
      votes would have a choice more than others, and not be as sure.
    """

    starts: Int64s
    item_of: Int64s
    codes: Int32s
    features: Float64s
    given: Int64s
    votes: Int32s
    n_rest: Int64s
    rest: Float64s

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.given)

    @property
    def given_codes(self) -> Int32s:
        """The label that each item has, (n,)."""
        return self.codes[self.given]


@dataclass(frozen=True)
class Voters:
    """Rows whose labels are votes: the near rows of each row in ``near``, with the ``labels`` of the table searched."""

    near: NearTable
    labels: RowLabels


@dataclass(frozen=True)
class _Tally:
    """Of consecutive rows: ``keys`` ascending, row times codes plus code, and the votes of each group of voters."""

    keys: Int64s
    votes: list[Int64s]


def choices_of_rows(
    labels: RowLabels, voters: list[Voters], n_codes: int, head: LogProbabilities | None = None
) -> Choices:
    """Return the labels that rows with one label each may have.

    These are the label that a row has, those of its near rows, and those that the head finds most probable.
    Cost: O(n m log m) time for m near rows; some 60 bytes a choice, of which there are up to m + 3 a row.
    """
    parts = list(_tallies(labels, voters, n_codes, head))
    keys = np.concatenate([part.keys for part, _ in parts])
    item_of, codes = np.divmod(keys, n_codes)
    votes = [np.concatenate(of_all) for of_all in zip(*(part.votes for part, _ in parts), strict=True)]
    share = np.bincount(labels.codes, minlength=n_codes) / len(labels.codes)
    features = [_log_shares(each, group.near.n_near, share[codes]) for each, group in zip(votes, voters, strict=True)]
    if head is not None:
        features.append(np.concatenate([logs for _, logs in parts]))
    given = np.searchsorted(keys, np.arange(labels.n_rows) * n_codes + labels.codes)
    starts = np.searchsorted(item_of, np.arange(labels.n_rows + 1))
    n_rest = n_codes - np.diff(starts)
    rest_share = np.maximum(1.0 - np.add.reduceat(share[codes], starts[:-1]), 0.0) / np.maximum(n_rest, 1)
    rest = [_log_shares(np.zeros(len(n_rest), np.int64), group.near.n_near, rest_share) for group in voters]
    if head is not None:
        likely = np.add.reduceat(np.exp(features[-1]), starts[:-1])
        rest.append(np.log(np.maximum((1.0 - likely) / np.maximum(n_rest, 1), LEAST_PROBABILITY)))
    return Choices(
        starts,
        item_of,
        codes.astype(np.int32),
        np.stack(features, axis=1),
        given,
        votes[0].astype(np.int32),
        n_rest,
        np.stack(rest, axis=1),
    )


def choices_of_pairs(labels: RowLabels, voters: list[Voters], n_codes: int) -> tuple[Choices, Int64s, Int32s]:
    """Return the choices of rows with several labels, and the row and the label of each item.

    An item is a row with a label that the row or a near row has. Its two choices are twice the label, the row should
    not have it, and one more, it should. Cost: as for `choices_of_rows`.
    """
    parts = [part for part, _ in _tallies(labels, voters, n_codes, None)]
    keys = np.concatenate([part.keys for part in parts])
    votes = [np.concatenate(of_all) for of_all in zip(*(part.votes for part in parts), strict=True)]
    rows, codes = np.divmod(keys, n_codes)
    has: Bools = np.isin(keys, labels.keys(np.arange(labels.n_rows), np.arange(labels.n_rows, dtype=np.int32), n_codes))
    share = np.bincount(labels.codes, minlength=n_codes)[codes] / labels.n_rows
    features = np.empty((2 * len(keys), len(voters)))
    for place, (each, group) in enumerate(zip(votes, voters, strict=True)):
        m = group.near.n_near
        features[0::2, place] = _log_shares(m - each, m, 1.0 - share)
        features[1::2, place] = _log_shares(each, m, share)
    items = np.arange(len(keys))
    both = np.stack([voters[0].near.n_near - votes[0], votes[0]], axis=1).ravel()
    choices = Choices(
        2 * np.arange(len(keys) + 1),
        np.repeat(items, 2),
        (2 * codes[:, None] + np.array([0, 1])).ravel().astype(np.int32),
        features,
        2 * items + has,
        both.astype(np.int32),
        np.zeros(len(keys), np.int64),
        np.zeros((len(keys), len(voters))),
    )
    return choices, rows, codes.astype(np.int32)


def _tallies(
    labels: RowLabels, voters: list[Voters], n_codes: int, head: LogProbabilities | None
) -> Iterator[tuple[_Tally, Float64s]]:
    """Yield the votes of some rows at a time, and the head's log probabilities of the labels that they may have."""
    for start in range(0, max(1, labels.n_rows), TALLIED_ROWS):
        rows = np.arange(start, min(start + TALLIED_ROWS, labels.n_rows))
        cast = [
            group.labels.keys(
                np.repeat(rows, group.near.n_near), group.near.rows[rows[0] : rows[-1] + 1].ravel(), n_codes
            )
            for group in voters
        ]
        likely, logs = np.empty(0, np.int64), np.empty((0, 0))
        if head is not None:
            logs = head(start, start + len(rows))
            n_likely = min(HEAD_LABELS, n_codes)
            top = np.argpartition(-logs, n_likely - 1, axis=1)[:, :n_likely]
            likely = (rows[:, None] * n_codes + top).ravel()
        keys = np.unique(np.concatenate([labels.keys(rows, rows.astype(np.int32), n_codes), *cast, likely]))
        votes = [np.bincount(np.searchsorted(keys, each), minlength=len(keys)) for each in cast]
        row, code = np.divmod(keys, n_codes)
        of_choices = np.empty(0) if head is None else logs[row - start, code]
        yield _Tally(keys, votes), np.maximum(of_choices, np.log(LEAST_PROBABILITY))


def _log_shares(votes: Int64s, n_voters: int, prior: Float64s) -> Float64s:
    """Return the logarithms of the shares of votes, with `PRIOR_VOTES` more that are cast like those of all rows."""
    found: Float64s = np.log((votes + PRIOR_VOTES * prior + 1e-12) / (n_voters + PRIOR_VOTES))
    return found

"""Hypothesis strategies for small valuation problems in which ties and odd shapes are the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from oracles import METRICS, count_classes

# Any two of these differ in their exact cosine to each of the ten, so cosine ties come only from repeated or
# doubled rows. Those tie in floating point too; a mirror image's tie would hang on the order of a sum.
COSINE_ROWS = (
    (3, -3, 1),
    (-2, 1, 1),
    (-2, 2, 2),
    (-2, 1, -3),
    (1, -3, 0),
    (1, -2, 0),
    (2, 0, 3),
    (0, 3, 2),
    (3, -2, -2),
    (1, 0, -1),
)
ABSENT_LABEL = 7


@dataclass(frozen=True)
class Problem:
    """A small valuation problem; with ``self_validation`` it has no validation rows of its own."""

    x_train: tuple[tuple[int, ...], ...]
    y_train: tuple[Any, ...]
    x_validation: tuple[tuple[int, ...], ...] | None
    y_validation: tuple[Any, ...] | None
    k: int
    metric: str
    n_classes: int
    train_ids: tuple[Any, ...] | None
    self_validation: bool

    @property
    def data(self) -> tuple[Any, ...]:
        """The positional arguments of a value call or of an oracle."""
        if self.self_validation:
            return self.x_train, self.y_train
        return self.x_train, self.y_train, self.x_validation, self.y_validation

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that a value call and an oracle share."""
        return {
            "k": self.k,
            "metric": self.metric,
            "n_classes": self.n_classes,
            "train_ids": self.train_ids,
            "self_validation": self.self_validation,
        }


def encode_label(label: Any, as_string: bool) -> Any:
    """Rename integer labels to strings, also within the tuple of a multi-label row."""
    if not as_string:
        return label
    if isinstance(label, tuple):
        return tuple(encode_label(one, True) for one in label)
    return f"class {label}"


def points(metric: str, n_features: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw one row of small integer coordinates; never a zero vector for the cosine."""
    if metric == "cosine":
        doubled = st.tuples(st.sampled_from(COSINE_ROWS), st.sampled_from([1, 2]))
        return doubled.map(lambda drawn: tuple(drawn[1] * c for c in drawn[0]))
    return st.tuples(*[st.integers(-2, 2)] * n_features)


def train_id_columns(n_train: int) -> st.SearchStrategy[tuple[Any, ...] | None]:
    """Draw no ids, shuffled integers with gaps, or strings whose order is not that of the rows."""
    integers = st.lists(st.integers(-50, 5000), min_size=n_train, max_size=n_train, unique=True)
    texts = st.lists(
        st.text(alphabet="aBz19-é", min_size=1, max_size=3), min_size=n_train, max_size=n_train, unique=True
    )
    return st.one_of(st.none(), integers.map(tuple), texts.map(tuple))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    max_train: int = 6,
    max_validation: int = 3,
    metrics: tuple[str, ...] = METRICS,
    self_validation: bool = False,
    multi_label: bool = False,
    string_labels: bool | None = None,
    only_absent_labels: bool = False,
) -> Problem:
    """Draw a problem: duplicates, ties, one class, absent labels, k > n and single rows all occur."""
    metric = draw(st.sampled_from(metrics))
    n_train = draw(st.integers(2 if self_validation else 1, max_train))
    n_validation = draw(st.integers(1, max_validation))
    n_labels = draw(st.integers(1, 3))
    as_string = draw(st.booleans()) if string_labels is None else string_labels

    row = points(metric, draw(st.integers(1, 3)))
    if draw(st.booleans()):
        # All rows from a few places, so that most of them are duplicates.
        row = st.sampled_from(draw(st.lists(row, min_size=1, max_size=3)))

    def labels(known: list[int]) -> st.SearchStrategy[Any]:
        one = st.sampled_from(known)
        if multi_label:
            # As sets are written: `(1, 0)` for all rows would be a one-hot matrix, which is refused.
            return st.lists(one, min_size=1, max_size=2, unique=True).map(sorted).map(tuple)
        return one

    def rows(size: int) -> tuple[tuple[int, ...], ...]:
        return tuple(draw(st.lists(row, min_size=size, max_size=size)))

    def column(size: int, known: list[int]) -> tuple[Any, ...]:
        drawn = draw(st.lists(labels(known), min_size=size, max_size=size))
        return tuple(encode_label(label, as_string) for label in drawn)

    train_labels = list(range(n_labels))
    x_train, y_train = rows(n_train), column(n_train, train_labels)
    x_validation, y_validation = None, None
    if not self_validation:
        wanted = [ABSENT_LABEL] if only_absent_labels else [*train_labels, ABSENT_LABEL]
        x_validation, y_validation = rows(n_validation), column(n_validation, wanted)
    seen = count_classes(y_train, y_validation or ())
    return Problem(
        x_train=x_train,
        y_train=y_train,
        x_validation=x_validation,
        y_validation=y_validation,
        k=draw(st.integers(1, max_train + 2)),
        metric=metric,
        n_classes=seen + draw(st.integers(0, 2)),
        train_ids=draw(train_id_columns(n_train)),
        self_validation=self_validation,
    )


def any_problem(**limits: Any) -> st.SearchStrategy[Problem]:
    """Draw from all shapes: single or multi-label, own validation rows or self-validation."""
    return st.one_of(
        *[
            problems(self_validation=self_validation, multi_label=multi_label, **limits)
            for self_validation in (False, True)
            for multi_label in (False, True)
        ]
    )

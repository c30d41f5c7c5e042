"""Table checks: everything that is wrong with the inputs, found before anything is computed and told all together."""

from __future__ import annotations

import hashlib
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from dvspark.errors import InputError, Problem, shown
from dvspark.methods.options import ValueOptions
from dvspark.privacy import delta_warning
from dvspark.schemas.labels import ListForm, indicator_problem, label_findings, twin_findings
from dvspark.spark.job_threads import JobThreads
from dvspark.tables.passes import Ahead, Begin, no_index, pass_over, tally
from dvspark.tables.rejecting import split, together
from dvspark.tables.row_checks import ALL_ROWS, DIMENSION, FACTS, FIRST_IDS, LIST_FORM, RowChecks
from dvspark.tables.sources.keys import label_counts, shared_ids
from dvspark.tables.sources.rows import Rows, undeclared_problem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.tables.rejecting import Rejected

ON_BAD_ROW = ("fail", "reject")

# What to do about a row's problem; for all others "drop or repair these rows".
HINTS = {
    "id is null": "give every row an id, e.g. its path or a hash of its content",
    "label is null": "drop unlabelled rows: they cannot match anything",
    "embedding is too large to square": "scale the embeddings down, or set precision: float64",
    "embedding is too small to square": "scale the embeddings up, or use metric: euclidean",
    "embedding is all zeros, without direction": "drop these rows, or use metric: euclidean",
}


@dataclass(frozen=True)
class Facts:
    """What is known of one side after its checks."""

    n_rows: int
    n_rejected: int
    labels: dict[str | int, int]
    digest: str


@dataclass(frozen=True)
class ValidatedInputs:
    """Inputs that can be valued: the good rows of both sides, and apart from them the ``rejected`` rows or None.

    Rejected rows are a DataFrame in `REJECTED` format. ``ahead``: the training rows in their places in an index, if
    they were put there.
    """

    train: Rows
    validation: Rows
    train_facts: Facts
    validation_facts: Facts
    n_features: int
    n_classes: int
    warnings: tuple[Problem, ...]
    rejected: Rejected | None
    ahead: Ahead | None = None

    @property
    def absent_labels(self) -> list[str | int]:
        """The labels of validation rows that no training row has, ascending."""
        return sorted(set(self.validation_facts.labels) - set(self.train_facts.labels), key=str)

    @property
    def n_rejected(self) -> int:
        """How many rows were set aside; a table that validates itself counts once."""
        sides = (
            (self.train_facts,)
            if self.train_facts is self.validation_facts
            else (self.train_facts, self.validation_facts)
        )
        return sum(facts.n_rejected for facts in sides)

    def also_rejected(self, known: DataFrame) -> ValidatedInputs:
        """Return the inputs with further validation rows that were set aside before (`REJECTED`)."""
        facts = replace(self.validation_facts, n_rejected=self.validation_facts.n_rejected + known.count())
        before = [] if self.rejected is None else [self.rejected]
        return replace(self, validation_facts=facts, rejected=together([*before, known]))

    @property
    def dtype(self) -> str:
        """The dtype of the index: float64 if the embeddings of either side are float64."""
        return _dtype_of([self.train, self.validation])


def _dtype_of(sides: list[Rows]) -> str:
    return "float64" if any(side.types["embedding"] == "array<double>" for side in sides) else "float32"


@dataclass(frozen=True)
class _Side:
    """The checks of one side so far: good rows, their facts, bad rows, and problems that are left."""

    rows: Rows
    facts: Facts
    n_features: int
    rejected: Rejected | None
    problems: list[Problem]
    ahead: Ahead | None


def validate(
    train: Rows | list[Problem],
    validation: Rows | list[Problem] | None,
    options: ValueOptions,
    on_bad_row: str,
    *,
    to_owners: bool = False,
    begin: Begin = no_index,
) -> ValidatedInputs:
    """Return the inputs, checked; ``validation`` None stands for self-validation.

    A list of problems in place of rows is reported with the other problems. Under "reject", rows with problems are set
    aside. A row without an owner is such a row if owners are valued, or if values go to owners (``to_owners``).
    ``begin`` may begin an index of the training rows, in which they are put while they are checked.
    Cost: a few passes over each table. Distinct labels, and one tally row for each batch, reach the driver.
    Raises: InputError with all problems.
    """
    sides = [train] if validation is None else [train, validation]
    problems = [problem for side in sides if isinstance(side, list) for problem in side]
    checks = RowChecks(options.metric, options.precision, with_owners=to_owners or "owners" in options.asks)
    # Each side takes several small jobs that leave most cores idle, so both sides run at the same time.
    readable = [side for side in sides if isinstance(side, Rows)]
    begins = [partial(begin if side is train else no_index, side, _dtype_of(readable)) for side in readable]
    with JobThreads(len(sides), readable[0].spark if readable else None) as pool:
        found = [pool.submit(_check_side, *one, checks, on_bad_row) for one in zip(readable, begins, strict=True)]
        checked = [side.result() for side in found]  # Spark jobs, which take what they take
    problems += [problem for side in checked for problem in side.problems]
    if len(checked) == len(sides) == 2 and not problems:
        problems += _pair_problems(*checked)
    if problems:
        raise InputError(problems)
    left, right = checked[0], checked[-1]
    labels = set(right.facts.labels)
    if not options.declaration.is_private:  # else training rows may not be looked at
        labels |= set(left.facts.labels)
    rejected = [side.rejected for side in checked if side.rejected is not None]
    return ValidatedInputs(
        train=left.rows,
        validation=right.rows,
        train_facts=left.facts,
        validation_facts=right.facts,
        n_features=left.n_features,
        n_classes=len(labels),
        warnings=tuple(_warnings(left, None if validation is None else right, options)),
        rejected=together(rejected),
        ahead=left.ahead,
    )


def _check_side(rows: Rows, begin: Callable[[], Ahead | None], checks: RowChecks, on_bad_row: str) -> _Side:
    passed = pass_over(rows, checks, begin())
    rows, tallies, labels, ahead = passed.rows, passed.tallies, passed.labels, passed.ahead
    n_twice, first = passed.repeated
    n_rows, digest = _content(rows, tallies)
    dimensions = by_aspect(t for t in tallies if t["aspect"] == DIMENSION)
    # The dimension that most rows have is taken as the intended one.
    n_features = int(max(dimensions, key=lambda d: dimensions[d][0], default=0))
    problems = _row_problems(rows, tallies, dimensions, n_features)
    if n_twice:
        got = f"{n_twice} ids more than once; the first: {shown(first)}"
        hint = "make ids unique: they decide ties and name the values"
        problems.append(Problem(f"{rows.side} ids", "unique ids", got, hint))
    rejected, n_good, alike = None, n_rows, _label_problem(rows, tallies, labels)
    if problems and on_bad_row == "reject":
        rows, rejected = split(rows, replace(checks, n_features=n_features))
        n_good, digest = _content(rows, tally(rows, checks))
        problems, labels, ahead = [], label_counts(rows), None  # it is dropped, since not all rows were good
    problems += [problem for problem in (alike, undeclared_problem(rows)) if problem is not None]
    if n_good == 0:
        got = "no rows" if n_rows == 0 else f"all {n_rows} rows rejected"
        problems.append(Problem(f"{rows.side} table {rows.reference}", "at least one row", got, "check the path"))
    facts = Facts(n_good, n_rows - n_good, labels, digest)
    return _Side(rows, facts, n_features, rejected, problems, ahead)


def _content(rows: Rows, tallies: list[dict[str, Any]]) -> tuple[int, str]:
    """Return the number of rows, and a digest of them: a sum over hashed rows, so order and files play no part."""
    found = [(t["n_rows"], int(t["detail"])) for t in tallies if t["aspect"] == ALL_ROWS]
    n_rows, added = sum(n for n, _ in found), sum(of_batch for _, of_batch in found)
    return n_rows, hashlib.sha256(f"{sorted(rows.types.items())} {added} {n_rows}".encode()).hexdigest()


def by_aspect(tallies: Iterable[dict[str, Any]]) -> dict[str, tuple[int, list[str]]]:
    """Return the sums of tallies: (number of rows, first ids) by aspect, or by dimension."""
    found: dict[str, tuple[int, list[str]]] = {}
    for one in tallies:
        key = str(one["detail"] or one["aspect"])
        n_rows, ids = found.get(key, (0, []))
        found[key] = (n_rows + one["n_rows"], (ids + one["ids"])[:FIRST_IDS])
    return found


def _row_problems(
    rows: Rows,
    tallies: list[dict[str, Any]],
    dimensions: dict[str, tuple[int, list[str]]],
    n_features: int,
) -> list[Problem]:
    problems = []
    found = by_aspect(t for t in tallies if t["aspect"] not in FACTS)
    for aspect, (n_rows, ids) in found.items():
        got = f"{aspect} in {n_rows} rows; the first: {shown(ids)}"
        hint = HINTS.get(aspect, "drop or repair these rows") + "; or set on_bad_row: reject"
        problems.append(Problem(f"{rows.side} rows", f"no row whose {aspect}", got, hint))
    if len(dimensions) > 1:
        others = {d: found for d, found in dimensions.items() if int(d) != n_features}
        got = "; ".join(f"{n} rows of {d}, the first: {shown(i)}" for d, (n, i) in others.items())
        hint = "embed all rows with one model; or set on_bad_row: reject"
        problems.append(Problem(f"{rows.side} embeddings", f"one dimension ({n_features} in most rows)", got, hint))
    return problems


def _label_problem(rows: Rows, tallies: list[dict[str, Any]], labels: dict[str | int, int]) -> Problem | None:
    """Return the problem of one-hot labels, if rows whose labels have no null look like one-hot columns."""
    forms = [ListForm(*literal_eval(t["detail"])) for t in tallies if t["aspect"] == LIST_FORM]
    if not forms:
        return None
    return indicator_problem(f"{rows.side} labels", labels, reduce(ListForm.added, forms))


def _pair_problems(train: _Side, validation: _Side) -> list[Problem]:
    problems = []
    if train.rows.epochs != validation.rows.epochs:
        told = [", ".join(f"{epoch} (of {n})" for epoch, n in side.rows.epochs) for side in (train, validation)]
        got, hint = f"{told[0]} in train, {told[1]} in validation", "write both tables in the same epochs, of one layer"
        problems.append(Problem("epochs", "the same, with gradients of the same lengths", got, hint))
    kinds = [side.rows.types["label"] for side in (train, validation)]
    return problems + unlike_problems([train.n_features, validation.n_features], kinds)


def unlike_problems(dimensions: Sequence[int], label_types: Sequence[str]) -> list[Problem]:
    """Return why training and validation rows cannot be compared; of both sides dimensions and types of labels."""
    problems, kinds = [], [kind.removeprefix("array<").removesuffix(">") for kind in label_types]
    if dimensions[0] != dimensions[-1]:
        got = f"{dimensions[0]} in train, {dimensions[-1]} in validation"
        problems.append(Problem("embeddings", "one dimension", got, "embed both tables with one model"))
    if kinds[0] != kinds[-1]:
        got = f"{kinds[0]} in train, {kinds[-1]} in validation"
        problems.append(Problem("labels", "one kind of label", got, "cast one of them, else nothing matches"))
    return problems


def _warnings(train: _Side, validation: _Side | None, options: ValueOptions) -> Iterator[Problem]:
    if options.declaration.is_private and (said := delta_warning(options.parameters["delta"], train.facts.n_rows)):
        yield Problem("delta", f"a number far below 1 / {train.facts.n_rows}", f"{options.parameters['delta']}", said)
    if (k := options.parameters.get("k")) is not None and k > train.facts.n_rows:
        got = f"k = {k}, {train.facts.n_rows} rows"
        yield Problem("k", "fewer neighbors than training rows", got, "legal: all rows then vote")
    if options.target == "label":
        of_points = None if validation is None else validation.facts.labels
        n_rows = train.facts.n_rows, (validation or train).facts.n_rows
        yield from label_findings(train.facts.labels, of_points, n_rows, options.parameters.get("n_classes"))
    if "owner" in train.rows.types and train.rows.keys is not None:
        yield from twin_findings("owners", pc.unique(train.rows.keys["owner"]).drop_null().to_pylist())
    if validation is None:
        return
    if train.rows.types["id"] == validation.rows.types["id"]:
        n_both, ids = shared_ids(train.rows, validation.rows)
        if n_both:
            got = f"{n_both} in both tables; the first: {shown(ids)}"
            hint = "a row that validates itself is overvalued; use self_validation for one table"
            yield Problem("ids", "different rows in train and validation", got, hint)

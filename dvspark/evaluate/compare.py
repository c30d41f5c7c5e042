"""Compare: all that an evaluation asks of values, side by side for several methods, with time."""

from __future__ import annotations

from collections.abc import Sequence

from dvspark.errors import InputError
from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.detect import detect
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.measures import band
from dvspark.evaluate.membership import ATTACKED, membership
from dvspark.evaluate.models import KNN, LOGISTIC
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.removal import removal
from dvspark.evaluate.stability import halves_correlation

QUESTION = "Which method helps most, and what does it take?"
# Shares of rows that are removed: fewer than `removal` has, since fits take most of the time.
REMOVED_SHARES = (0.0, 0.1, 0.3)


def compare(
    train: LabeledRows,
    validation: LabeledRows,
    contenders: Sequence[Contender],
    *,
    protocol: Protocol | None = None,
    seeds: Sequence[int] | None = None,
) -> Evaluation:
    """Return all measures of all contenders in one table, each of them also told by its own function.

    - ``comparison``: AUROC and precision of `detect`; what `removal` of low and of high values does to a logistic
      regression and to k-NN, among rows that are spoiled in the same way; the rank correlation by halves of the
      validation rows (`stability`); AUROC of `membership` where the attack knows the method, and rows are enough; and
      the median seconds of a valuation.
    - the curves of `detect` (``detection_curves``) and of `removal` (``removal_curves``).
    Cost: that of the four. Raises: what they raise.
    """
    protocol = protocol or Protocol()
    seeds = protocol.seeds(3) if seeds is None else seeds
    found = detect(train, validation, contenders, protocol=protocol, seeds=seeds)
    removed = removal(train, validation, contenders, protocol=protocol, seeds=seeds, shares=REMOVED_SHARES)
    attacked, notes = _attacked(train, validation, contenders, seeds)
    rows = list[Row]()
    for one, of_detection in zip(contenders, found.tables["detection"], strict=True):
        of_models = {row["model"]: row for row in removed.tables["removal"] if row["method"] == one.name}
        split = [halves_correlation(one, train, validation, seed) for seed in seeds]
        row: Row = {"method": one.name, "auroc": of_detection["auroc"], "auroc sd": of_detection["sd"]}
        row["precision"] = of_detection["precision"]
        for model, short in ((LOGISTIC, "logistic"), (KNN, "k-nn")):
            row |= {f"{short} {part}": of_models[model][part] for part in ("without low", "without high")}
        row["halves"] = None if None in split else band([each for each in split if each is not None])["mean"]
        rows.append(row | {"membership": attacked.get(one.name), "seconds": of_detection["seconds"]})
    tables = {"comparison": rows, "detection_curves": found.tables["curves"]}
    tables["removal_curves"] = removed.tables["curves"]
    axes = {"detection_curves": found.axes["curves"], "removal_curves": removed.axes["curves"]}
    settings = found.settings | {"seeds": [*seeds], "removal": removed.settings}
    return Evaluation(QUESTION, settings, tables, notes, axes)


def _attacked(
    train: LabeledRows, validation: LabeledRows, contenders: Sequence[Contender], seeds: Sequence[int]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the AUROC of the attack on each contender that it knows, and what to say where it was not made."""
    known = [one for one in contenders if one.method in ATTACKED]
    if not known:
        return {}, ()
    try:
        made = membership(train, validation, known, seeds=seeds)
    except InputError as error:
        return {}, (f"no membership attack: {error.problems[0].expected}, there are {error.problems[0].got}",)
    return {row["method"]: row["auroc"] for row in made.tables["membership"]}, ()

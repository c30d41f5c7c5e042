"""Spoiled rows found, and rows removed, by CHG-Shapley: two kinds of figures of its article, on other data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvspark import value_arrays
from dvspark.evaluate.contenders import Contender, contenders_of
from dvspark.evaluate.detect import detect
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.measures import band
from dvspark.evaluate.models import LOGISTIC
from dvspark.evaluate.protocols import FEATURES, LABELS, Protocol
from dvspark.evaluate.removal import CHANCE, REMOVE, removal
from dvspark.schemas import Float64s
from tests.bench.frame import Row, say
from tests.bench.reproductions.data import public_sets
from tests.bench.reproductions.figures import drawn

# Half of the validation rows test the models of a removal.
N_TRAIN, N_VALIDATION = 1_000, 600
# A fifth of the rows is spoiled, by a wrong label or by noise of a standard deviation of each column.
SPOILED = 0.2
LOOKED_AT = (0.1, 0.2, 0.3, 0.4, 0.5)
REMOVED = (0.1, 0.3, 0.5)
TRAINING = {"epochs": 20, "batch_rows": 128}


@dataclass(frozen=True)
class SelfTargeted(Contender):
    """A contender whose target is the mean of the training rows themselves, as in the article."""

    def values(self, train: LabeledRows, validation: LabeledRows) -> Float64s:
        """Return the value of each training row, float64 (n_train,)."""
        return value_arrays(train.x, train.y, method=self.method, self_validation=True, **self.options)


def chg_contenders() -> list[Contender]:
    """Return the article's values, those of its losses and of its gradients alone, and ours beside them."""
    by_variant = [("article", "chg"), ("article, losses", "hardness"), ("article, gradients", "gradient")]
    return [
        *(SelfTargeted(name, "chg_shapley", {**TRAINING, "variant": variant}) for name, variant in by_variant),
        Contender("article, alpha of validation rows", "chg_shapley", TRAINING),
        *contenders_of(["chg_shapley", "knn_shapley:k=5"]),
    ]


def chg_sets(fashion: Path | None) -> Iterator[tuple[str, LabeledRows]]:
    """Yield the digits, and Fashion-MNIST's test images where the folder is given."""
    return ((name, rows) for name, rows in public_sets(fashion, None, None) if not name.startswith("2dplanes"))


def chg_rows(
    sets: Iterable[tuple[str, LabeledRows]],
    seeds: Sequence[int],
    n_train: int = N_TRAIN,
    n_validation: int = N_VALIDATION,
) -> dict[str, list[Row]]:
    """Return the rows of both figures: ``found`` by set, spoiled what, and method; ``removed`` by set and method."""
    found, removed = list[Row](), list[Row]()
    for name, rows in sets:
        say(f"chg: {name}")
        sides = [drawn(rows, seed, n_train, n_validation) for seed in seeds]
        for spoil in (LABELS, FEATURES):
            found += [{"set": name, "spoiled": spoil, **row} for row in _found(sides, seeds, spoil)]
        removed += [{"set": name, **row} for row in _removed(sides, seeds)]
    return {"found": found, "removed": removed}


def _found(sides: list[tuple[LabeledRows, LabeledRows]], seeds: Sequence[int], spoil: str) -> list[Row]:
    """Return of each method AUROC, and the share of spoiled rows among the lowest values; bands over seeds."""
    protocol, scores = Protocol(spoil=spoil, share=SPOILED), dict[tuple[str, str], list[float]]()
    for seed, (train, validation) in zip(seeds, sides, strict=True):
        tables = detect(train, validation, chg_contenders(), protocol=protocol, seeds=[seed], shares=LOOKED_AT).tables
        for row in tables["detection"]:
            scores.setdefault((row["method"], "AUROC"), []).append(row["auroc"])
        for row in tables["curves"]:
            scores.setdefault((row["method"], f"{100 * row['looked at']:.0f} %"), []).append(row["mean"])
    return [{"method": method, "column": column, **band(each)} for (method, column), each in scores.items()]


def _removed(sides: list[tuple[LabeledRows, LabeledRows]], seeds: Sequence[int]) -> list[Row]:
    """Return the accuracy of logistic regression after shares of rows are removed, in both orders, beside chance."""
    scores = dict[tuple[str, str], list[float]]()
    for seed, (train, validation) in zip(seeds, sides, strict=True):
        of_seed = removal(train, validation, chg_contenders(), seeds=[seed], shares=REMOVED, models=[LOGISTIC])
        for row in of_seed.tables["curves"]:
            if row["action"] == REMOVE:
                order = "" if row["method"] == CHANCE else f"{row['order'].removesuffix(' first')}est "
                key = row["method"], f"{order}{100 * row['share']:.0f} %"
                scores.setdefault(key, []).append(row["accuracy"])
    return [{"method": method, "column": column, **band(each)} for (method, column), each in scores.items()]

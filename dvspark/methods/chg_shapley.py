"""CHG-Shapley of gradients, given or in a softmax head that is trained on the embeddings (Cai 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.chg_shapley import ChgShapley
from dvspark.kernels.gradients.head_pass import GRADIENT, VARIANTS
from dvspark.methods.kinds.sums import ALL, BY_LABEL, GIVEN, HEAD, SumsMethod
from dvspark.methods.parameters import Choice, Number, Whole

VARIANT = Choice(
    "variant", "a row is its loss times its gradient (chg), its loss (hardness), or its gradient", "chg", VARIANTS
)
BY = Choice("by", "all rows are one game, or those of each label", ALL, (ALL, BY_LABEL))
EPOCHS = Whole("epochs", "value rows in so many epochs of training; if left out, once, by a head at its minimum")
BATCH_ROWS = Whole("batch_rows", "with epochs, rows of a step; all if left out")
LEARNING_RATE = Number("learning_rate", "with epochs, the size of steps", 1.0, above=0.0)
SEED = Whole("seed", "with batch_rows, deals rows to steps", 0, least=0)
SOURCE = Choice(
    "source", "where gradients come from: a head on embeddings, or a column of gradients", HEAD, (HEAD, GIVEN)
)
# Parameters of training in epochs.
OF_TRAINING = ("batch_rows", "learning_rate", "seed")


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    if given.get("source") == GIVEN:
        hint = "leave it out: no head is trained; those of several epochs are told apart by train.epoch"
        names = [name for name in ("epochs", *OF_TRAINING) if given.get(name) is not None]
        return [Problem(f"parameter {name!r}", f"none with source {GIVEN}", str(given[name]), hint) for name in names]
    if given.get("epochs") is not None:
        return []
    alone = [name for name in OF_TRAINING if given.get(name) is not None]
    hint = "give epochs; without them the head is trained to its minimum, and this has no effect"
    return [Problem(f"parameter {name!r}", "none without epochs", str(given[name]), hint) for name in alone]


def _asks(given: Mapping[str, Any]) -> tuple[str, ...]:
    return ("losses",) if given.get("source") == GIVEN and given.get("variant") != GRADIENT else ()


CHG_SHAPLEY = SumsMethod(
    name="chg_shapley",
    gives="its Shapley share of how near the mean gradient of rows comes to that of the validation rows",
    purpose="to find wrong labels in a few passes; while a network trains",
    cost="none: O(p) a row",
    formulas=ChgShapley,
    parameters=(VARIANT, BY, EPOCHS, BATCH_ROWS, LEARNING_RATE, SEED, SOURCE),
    asks=_asks,
    check=_problems,
    reference="Cai, CHG Shapley, 2024, arXiv:2406.11730",
)

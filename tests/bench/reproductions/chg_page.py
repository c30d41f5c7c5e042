"""The part of docs/reproductions.md on spoiled rows found, and rows removed, by CHG-Shapley."""

from __future__ import annotations

from typing import Any

from tests.bench.performance_page import table
from tests.bench.reproductions.chg_figures import LOOKED_AT, N_TRAIN, N_VALIDATION, REMOVED, SPOILED, TRAINING

CHG_ARTICLE = f"""\
## Values of the CHG article

Cai, *CHG Shapley*, 2024, [arXiv:2406.11730](https://arxiv.org/abs/2406.11730): which spoiled rows low values find, and
how well a model does without rows of low or of high value. This part is made by
`python -m tests.bench.reproductions --only chg --fashion FOLDER`. No figures of the article are at hand as numbers, so
none are compared.

{N_TRAIN:,} rows of a set are valued; {N_VALIDATION} others are validation rows, half of which test the models of
removals. `article` is algorithm 1: the mean over {TRAINING["epochs"]} epochs of a softmax head in steps by
{TRAINING["batch_rows"]} rows, alpha the mean of the training rows. Beside it are its games of losses and of gradients
alone, and the same values with alpha the mean of the validation rows. `chg_shapley` values once, by a head at its
minimum. Means over seeds, in parentheses their standard deviation.
"""
FOUND = f"""\
{100 * SPOILED:.0f} % of the rows are spoiled: AUROC, and the share of the spoiled rows among so many of the lowest
values. Ideal are {" ".join(f"{min(share / SPOILED, 1):.2f}" for share in LOOKED_AT)}, by chance
{" ".join(f"{share:.2f}" for share in LOOKED_AT)}. The game of losses gives rows that are hard the highest values.
"""
REMOVALS = f"""\
### Rows removed

Accuracy of logistic regression without {", ".join(f"{100 * share:.0f}" for share in REMOVED)} % of the rows, those of
lowest or of highest value; `random`: without drawn rows. Nothing is spoiled. So rows of lowest value are hard ones, not
wrong ones: on digits, models without them do worse than without drawn rows.
"""
SPOILS = {"labels": "wrong labels", "features": "noise of a standard deviation in each feature"}


def chg_parts(part: dict[str, Any], made: str) -> list[str]:
    """Return the pieces of the part; ``made`` says when and on what it was made."""
    parts, figures = [CHG_ARTICLE, made], part["figures"]
    for spoiled, said in SPOILS.items():
        own = [row for row in figures["found"] if row["spoiled"] == spoiled]
        parts += [f"### Rows found: {said}\n", *([FOUND] if spoiled == "labels" else []), table(_by_method(own))]
    return [*parts, REMOVALS, table(_by_method(figures["removed"]))]


def _by_method(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a set and method, with a cell for each column that some method has; chance has those of lowest."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    columns = [*dict.fromkeys(row["column"] for row in rows if row["method"] not in ("random", "ideal"))]
    for row in rows:
        if row["method"] == "ideal":
            continue
        about = {"set": row["set"], "method": row["method"], **dict.fromkeys(columns, "")}
        told = found.setdefault((row["set"], row["method"]), about)
        cell = f"{row['mean']:.3f} ({row['sd']:.3f})"
        own = (row["column"], f"lowest {row['column']}", f"highest {row['column']}")
        told |= {one: cell for one in columns if one in own}
    return [*found.values()]

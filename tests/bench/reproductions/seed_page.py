"""The part of docs/reproductions.md on the article on group testing."""

from __future__ import annotations

from typing import Any

from tests.bench.performance_page import table
from tests.bench.reproductions.seed_article import (
    FEW_ROWS,
    MOST_EVALUATIONS,
    N_VALIDATION,
    PERMUTATIONS,
    STANDARD_ERROR,
)

SEED_ARTICLE = f"""\
## The article on group testing

Jia et al., *Towards Efficient Data Valuation Based on the Shapley Value*, AISTATS 2019,
[arXiv:1902.10275](https://arxiv.org/abs/1902.10275), figures 2a, 2b and 4: values of rows of Iris by the accuracy of
logistic regression on {N_VALIDATION} other rows, from permutations and from group testing.
`python -m tests.bench.reproductions --only seed` makes this part; it needs the extra `models`.

The article takes its reference from permutations, too. Here {FEW_ROWS} rows are valued, so that each of
{2**FEW_ROWS:,} coalitions is trained once: the reference has all of the article's {PERMUTATIONS:,} permutations, and
exact values stand beside it. No figures of the article are at hand as numbers, so none are compared.
"""
VALUES = """\
### Figure 2a: values of single rows

`exact`: by all coalitions; `reference`: by permutations; the estimators had 100,000 evaluations each.
"""
ERRORS = """\
### Figure 2b: errors by evaluations

Means over seeds. The largest error is that of the worst value, against the reference.
"""
TIMES = f"""\
### Figure 4: time by rows

Until no value has a standard error above {STANDARD_ERROR:g}, or after {MOST_EVALUATIONS:,} evaluations. CPU time of one
thread, nearly all of it trainings.
"""

INTERVALS = """\
### Intervals

Three tests hold intervals of 95 % against exact values; each fails outside of what is said here.

- Of 200 random games of 6 players, 1,000 evaluations each, 93 to 97 % of the intervals of each estimator hold the value
  that all coalitions give: `python -m pytest tests/unit/games/test_estimators.py -k intervals`.
- Of 1,000 rows under a vote of 5 neighbors, 86 to 93 % of the intervals of permutations hold the values of
  `knn_shapley` after 200 antithetic draws, and 93 to 97 % after 800:
  `python -m pytest tests/unit/games/test_utilities.py -k intervals`.
- So do those of a job of `monte_carlo_shapley` with the utility `knn`, beside a job of `knn_shapley`, after 200 draws:
  `python -m pytest tests/unit/run/test_game_job.py -k thousand`.
"""


def seed_parts(part: dict[str, Any], made: str) -> list[str]:
    """Return the parts of the page."""
    found = part["figures"]
    values = [
        {"row": str(one["row"]), **{name: f"{one[name]:.4f}" for name in one if name != "row"}}
        for one in found["values"]
    ]
    errors = [
        {
            "estimator": one["estimator"],
            "evaluations": f"{one['evaluations']:,}",
            "largest error": f"{one['largest error']:.4f}",
            "largest standard error": f"{one['largest standard error']:.4f}",
            "correlation": f"{one['correlation']:.4f}",
        }
        for one in found["errors"]
    ]
    times = [
        {
            "rows": str(one["rows"]),
            "estimator": one["estimator"],
            "evaluations": f"{one['evaluations']:,}",
            "CPU s": f"{one['CPU seconds']:.1f}",
            "largest standard error": f"{one['largest standard error']:.4f}",
            "stopped by": one["stopped by"],
        }
        for one in found["time"]
    ]
    parts = [SEED_ARTICLE, made]
    for text, rows in ((VALUES, values), (ERRORS, errors), (TIMES, times)):
        parts += [text, table(rows)]
    return [*parts, INTERVALS]

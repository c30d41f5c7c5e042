"""docs/choosing_a_method.md from tests/bench/side_by_side/results.json: `python -m tests.bench.side_by_side.page`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.performance_page import section

RESULTS = Path(__file__).parent / "results.json"
HEAD = """\
# Choosing a method

What each method values stands in the [list of methods](methods/README.md). This page tells which one answers which
question best, by one measurement of all of them on four sets, whose tables are below. The numbers are means over the four.

| you want | take | why |
|---|---|---|
| wrong labels | [`dvspark review`](review.md); of single methods [knn_shapley](methods/knn_shapley.md) | of two rows, one of them mislabeled, knn_shapley ranks the mislabeled one lower in 94 % of all cases, in a hundredth of a second |
| wrong labels, by a model of your own | [data_oob](methods/data_oob.md) | as good (94 %), where a model can be trained some hundred times |
| rows with noisy features | [lava](methods/lava.md), [weighted_knn_shapley](methods/weighted_knn_shapley.md) with `weight: rbf` | 89 % and 88 %; other methods are far behind, and those by a model see hardly anything |
| to drop rows, so that a model gets better | [influence](methods/influence.md), [knn_shapley](methods/knn_shapley.md) | the accuracy of a logistic regression rises by 5.1 and 4.5 points over dropping random rows |
| the rows on which a linear model rests | [influence](methods/influence.md) | without them its accuracy falls by 13 points, more than under any other method |
| a small set of rows to train on | [`dvspark select`](markets.md#selection), [training on less](training_on_less.md) | the highest values alone are no good set: rows of high value are alike. Under more than half of the methods the ten or thirty percent of rows with the highest values train a worse model than random rows do |
| to pay owners | [owner_knn_shapley](methods/owner_knn_shapley.md), [owner_sum_of_points](methods/owner_sum_of_points.md) | values add up; see [markets](markets.md) |
| values for any model or utility | [monte_carlo_shapley](methods/monte_carlo_shapley.md), [data_oob](methods/data_oob.md) | mind the standard errors: with a thousand evaluations for 300 rows, group_testing_shapley and ame say nothing yet |

What the measurement does not tell: these are small tables, and one linear model. On more rows the k-NN methods get better, for
near rows are nearer; the methods for any utility need evaluations that grow faster than the number of rows. Evaluate on
your own rows: [`dvspark evaluate compare`](evaluating.md) makes the same comparison there.

- **chg_shapley** tells wrong labels in 89 to 97 % of all cases on three sets, and in 59 % on the packages. Their 384 numbers
  a row let a softmax head fit 300 rows with any labels, so that wrong ones look like right ones. With more rows than
  numbers this goes away ([review](review.md) uses heads that have not seen a row).
- **knn_beta and threshold_knn_beta** have `alpha: 16` here, which favors small sets; with it knn_beta is the one method
  of neighbors whose lowest rows should not be dropped.
- **leave_one_out** of a model is a difference of two near numbers, 0 for most rows: it tells wrong labels in 58 % of all
  cases.

"""


def page(result: dict[str, Any]) -> str:
    """Return the page."""
    return HEAD + section(result)


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(RESULTS.read_text(encoding="utf-8"))))

"""What changed between two runs, by hand-made pairs and by SciPy's rank correlation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from report_data import RUN, realistic_values, values_table
from scipy.stats import spearmanr

from dvspark.errors import ConfigError
from dvspark.report import render_html, summarize
from dvspark.report.against import compared
from dvspark.report.decisions import decisions_of

OTHER = RUN | {"run_id": "before", "method": {"name": "knn_banzhaf", "parameters": {"k": 5}}}


def test_compared__counts_rows_by_id_in_any_order():
    now = values_table([1.0, 2.0, 3.0, 4.0], ids=["a", "b", "c", "d"], labels=["x", "y", "x", "x"])
    before = values_table([9.0, 8.0, 7.0], ids=["c", "z", "b"], labels=["x", "x", "x"])
    found = compared(now, RUN, before, OTHER)
    assert (found.run_id, found.method) == ("before", "knn_banzhaf")
    assert (found.n_both, found.n_appeared, found.n_gone, found.n_relabeled) == (2, 2, 1, 1)
    assert found.correlation == pytest.approx(1.0)
    assert (found.rose, found.fell) == ((), ())
    assert ("method", "knn_banzhaf", "knn_shapley") in found.settings
    assert ("k", "5", "10") in found.settings
    assert all(name != "metric" for name, *_ in found.settings)


def test_compared__names_what_rose_and_fell():
    now = values_table([1.0, 2.0, 3.0, 4.0, 5.0], ids=list("abcde"))
    before = values_table([5.0, 1.0, 2.0, 3.0, 4.0], ids=list("abcde"))
    found = compared(now, RUN, before, OTHER)
    assert [(each.train_id, each.before, each.now) for each in found.fell] == [("a", 1.0, 0.0)]
    assert {each.train_id for each in found.rose} == set("bcde")


def test_compared__correlation_is_spearmans():
    now, generator = realistic_values(500), np.random.default_rng(3)
    other = now.set_column(1, "value", [now["value"].to_numpy().round(5) + generator.normal(0, 1e-4, 500).round(4)])
    expected = spearmanr(now["value"].to_numpy(), other["value"].to_numpy()).statistic
    shuffled = other.take(pa.array(generator.permutation(500)))
    assert compared(now, RUN, shuffled, OTHER).correlation == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("ids", [["p", "q"], ["a", "q"]])
def test_compared__of_strangers_is_none(ids):
    found = compared(values_table([1.0, 2.0], ids=["a", "b"]), RUN, values_table([1.0, 2.0], ids=ids), OTHER)
    assert found.correlation is None
    assert found.n_both == (ids[0] == "a")


def test_compared__of_other_types_of_ids_and_without_labels():
    now = values_table([1.0, 2.0, 0.0], ids=[1, 2, 3]).drop_columns(["label"])
    before = values_table([1.0, 2.0, 0.0], ids=pa.array([1, 2, 3], pa.int32()))
    assert compared(now, RUN, before, OTHER).n_both == 3


def test_page__says_what_changed():
    now = values_table([1.0, 2.0, 3.0], ids=list("abc"))
    found = compared(now, RUN, values_table([3.0, 2.0, 1.0], ids=list("abc")), OTHER)
    html = render_html(summarize(now, RUN, [], pa.table({}), comparison=found))
    for part in ("Compared with run", "Rose most", "Fell most", "3 rows are in both runs", "−1"):
        assert part in html


def test_decisions__are_counted_and_copies_gathered():
    review = pa.table(
        {
            "id": ["a", "b", "c", "d", "e"],
            "label_issue": [True, False, None, False, False],
            "duplicate_of": [None, "a", "a", None, "d"],
            "duplicate_distance": [None, 0.25, 0.5, None, None],
            "leaked_from": ["v1", None, None, None, None],
            "decision": ["relabel", "drop", "drop", "keep", "drop"],
        }
    )
    found = decisions_of(review)
    assert found.by_decision == (("drop", 3), ("relabel", 1), ("keep", 1))
    assert (found.n_label_issues, found.n_copies, found.n_leaks, found.n_copy_sets) == (1, 3, 1, 2)
    assert [(one.first, one.n_copies, one.some, one.largest_distance) for one in found.copy_sets] == [
        ("a", 2, ("b", "c"), 0.5),
        ("d", 1, ("e",), None),
    ]


def test_compared__numbers_and_texts_as_ids_are_refused():
    now, before = values_table([1.0, 2.0], ids=[1, 2]), values_table([1.0, 2.0], ids=["1", "b"])
    for pair in ((now, before), (before, now)):
        with pytest.raises(ConfigError, match="the same ids"):
            compared(pair[0], RUN, pair[1], OTHER)

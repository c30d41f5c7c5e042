from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from report_data import FINDINGS, NO_NEIGHBORS, RUN, neighbors_table, realistic_values, values_table

from dvspark.errors import InputError
from dvspark.report import summarize
from dvspark.report.browse import positions_with_neighbors
from dvspark.report.card import run_card
from dvspark.report.distribution import N_CURVE_END_POINTS, N_CURVE_POINTS, Curve, curve, histogram
from dvspark.report.scale import scale_of
from dvspark.report.text import clip, count, distance, seconds, share, significant


def summary_of(values, run=RUN, findings=FINDINGS, neighbors=NO_NEIGHBORS):
    return summarize(values, run, findings, neighbors)


def test_numbers__are_those_of_the_values():
    numbers = summary_of(values_table([0.5, -0.25, 0.0, -0.125])).numbers
    assert (numbers.n_rows, numbers.n_below_zero, numbers.n_not_finite) == (4, 2, 0)
    assert numbers.share_below_zero == 0.5
    assert numbers.total == 0.125
    assert numbers.mean == 0.03125
    assert numbers.median == -0.0625
    assert (numbers.lowest, numbers.highest) == (-0.25, 0.5)


def test_numbers__leave_out_what_is_not_finite():
    summary = summary_of(values_table([1.0, None, float("inf"), 3.0], labels=["a", "a", "b", "a"]))
    assert summary.numbers.n_not_finite == 2
    assert summary.numbers.total == 4.0
    assert [(line.label, line.n_rows) for line in summary.classes] == [("a", 2)]


def test_numbers__of_nothing_finite_draw_nothing():
    summary = summary_of(values_table([None, None]))
    assert summary.histogram is None
    assert summary.curve is None
    assert np.isnan(summary.numbers.mean)


def test_histogram__counts_every_row_once():
    values = realistic_values()["value"].to_numpy()
    shape = histogram(values)
    assert sum(shape.counts) + shape.n_left + shape.n_right == len(values)
    assert shape.n_left == (values < shape.edges[0]).sum()
    assert shape.n_left > 0
    assert len(shape.edges) == len(shape.counts) + 1


def test_histogram__no_bar_holds_both_signs():
    values = realistic_values()["value"].to_numpy()
    shape = histogram(values)
    assert 0.0 in shape.edges
    below = sum(shape.counts[: shape.edges.index(0.0)])
    assert below + shape.n_left == (values < 0).sum()


def test_histogram__value_just_below_zero_is_below():
    # Divided by the width of a bin, the second is -0.0.
    shape = histogram(np.array([-100.0, -5e-324, 0.0, 100.0]))
    below = sum(shape.counts[: shape.edges.index(0.0)])
    assert below + shape.n_left == 2


@pytest.mark.parametrize("value", [0.0, 0.25, -3e-5, 1e308, 5e-324])
def test_histogram__equal_values_share_one_bar(value):
    shape = histogram(np.full(7, value))
    assert shape.counts == (7,)
    assert shape.edges[0] < value < shape.edges[1]


def test_histogram__rounding_is_not_a_shape():
    assert histogram(np.array([1.0, 1.0 + 2e-16, 1.0 - 1e-16])).counts == (3,)


def test_histogram__few_outliers_of_many_equal_values_are_seen():
    shape = histogram(np.array([0.0] * 999 + [1.0]))
    assert sum(shape.counts) == 1000
    assert shape.counts[-1] == 1


def test_curve__falls_and_keeps_both_ends():
    values = realistic_values()["value"].to_numpy()
    shape = curve(values)
    falling = np.sort(values)[::-1]
    assert list(shape.values[:N_CURVE_END_POINTS]) == falling[:N_CURVE_END_POINTS].tolist()
    assert list(shape.values[-N_CURVE_END_POINTS:]) == falling[-N_CURVE_END_POINTS:].tolist()
    assert (shape.positions[0], shape.positions[-1]) == (1, len(values))
    assert len(shape.positions) <= N_CURVE_POINTS + 2 * N_CURVE_END_POINTS


def test_curve__of_one_row_is_one_point():
    assert curve(np.array([0.5])) == Curve(positions=(1,), values=(0.5,))


def test_classes__lowest_mean_first():
    summary = summary_of(values_table([3.0, -1.0, 0.5, -2.0], labels=["a", "b", "a", "b"]))
    first, second = summary.classes
    assert (first.label, first.n_rows, first.mean, first.total) == ("b", 2, -1.5, -3.0)
    assert (first.share_below_zero, first.lowest) == (1.0, -2.0)
    assert (second.label, second.mean, second.share_below_zero, second.lowest) == ("a", 1.75, 0.0, 0.5)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.dictionary(pa.int32(), pa.string()))],
)
def test_classes__a_row_counts_once_in_each_of_its_labels(kind):
    labels = pa.array([["a", "b"], ["b", "b"], [], None], pa.list_(pa.string())).cast(kind)
    summary = summary_of(values_table([1.0, 2.0, 4.0, 8.0], labels=labels))
    assert [(line.label, line.n_rows, line.total) for line in summary.classes] == [
        ("a", 1, 1.0),
        ("b", 2, 3.0),
        (None, 2, 12.0),
    ]


def test_classes__several_chunks_are_one_column():
    halves = [values_table([1.0, 2.0], labels=["a", "b"]), values_table([4.0, 8.0], labels=["b", "a"])]
    summary = summary_of(pa.concat_tables(halves))
    assert [(line.label, line.total) for line in summary.classes] == [("b", 6.0), ("a", 9.0)]


def test_classes__lists_in_a_sliced_table():
    table = values_table([9.0, 1.0, 2.0], labels=[["z"], ["a"], ["a", "b"]]).slice(1)
    assert [(line.label, line.total) for line in summary_of(table).classes] == [("a", 3.0), ("b", 2.0)]


@pytest.mark.parametrize("labels", [pa.array([1, 2, 1]), pa.array(["x", "y", "x"]).dictionary_encode()])
def test_classes__of_other_types(labels):
    assert [line.n_rows for line in summary_of(values_table([1.0, 2.0, 4.0], labels=labels)).classes] == [
        1,
        2,
    ]


def test_classes__targets_of_a_regression_are_none():
    assert summary_of(values_table([1.0, 2.0], labels=[0.25, 0.5])).classes == ()


def test_classes__only_sixty_are_shown():
    labels = [f"class {row}" for row in range(75)]
    summary = summary_of(values_table(np.arange(75.0).tolist(), labels=labels))
    assert [line.label for line in summary.classes] == labels[:60]
    assert summary.n_classes_hidden == 15


def test_rows__lowest_and_highest_in_order_of_rank():
    summary = summary_of(realistic_values(1000))
    assert [row.rank for row in summary.highest] == list(range(1, 26))
    assert [row.rank for row in summary.lowest] == list(range(1000, 975, -1))
    lowest = [row.value for row in summary.lowest]
    assert lowest == sorted(lowest)
    assert lowest[0] == summary.numbers.lowest


def test_rows__of_one_row_are_that_row():
    summary = summary_of(values_table([0.5]))
    assert [row.train_id for row in summary.lowest] == ["row_0"]
    assert summary.lowest == summary.highest


def test_positions_with_neighbors__are_those_of_shown_rows_once():
    values = realistic_values(1000)
    order = np.argsort(values["value"].to_numpy(), kind="stable")
    assert positions_with_neighbors(values).tolist() == sorted([*order[:100].tolist(), *order[-25:].tolist()])
    assert positions_with_neighbors(values_table([1.0, 3.0, 2.0])).tolist() == [0, 1, 2]


def test_positions_with_neighbors__follow_a_review_and_keep_the_lowest():
    values = realistic_values(1000)
    order = np.argsort(values["value"].to_numpy(), kind="stable")
    suspects = order[400:500]
    decision = np.full(1000, "keep", object)
    decision[suspects] = "relabel"
    review = pa.table({"id": values["id"], "label_score": np.linspace(0, 1, 1000), "decision": decision.tolist()})
    shuffled = review.take(pa.array(np.random.default_rng(2).permutation(1000)))
    expected = sorted([*suspects.tolist(), *order[:25].tolist(), *order[-25:].tolist()])
    assert positions_with_neighbors(values, shuffled).tolist() == expected


@pytest.mark.parametrize("error", [None, float("nan")])
def test_rows__unknown_standard_error_is_none(error):
    summary = summary_of(values_table([1.0, 2.0], errors=[error, 0.5]))
    assert [row.standard_error for row in summary.lowest] == [None, 0.5]


def test_neighbors__in_order_and_marked_where_the_label_differs():
    near = neighbors_table(
        ("row_0", 2, "v2", "dog", 0.5), ("row_0", 1, "v1", "cat", None), ("unlisted", 1, "v1", "cat", 0.1)
    )
    row = summary_of(values_table([1.0]), neighbors=near).lowest[0]
    assert [(n.validation_id, n.distance, n.differs) for n in row.neighbors] == [
        ("v1", None, False),
        ("v2", 0.5, True),
    ]


@pytest.mark.parametrize(
    ("label", "other", "differs"),
    [
        (["a", "b"], ["b", "c"], False),
        (["a", "b"], ["c"], True),
        ([], ["c"], True),
        ([], [], True),
    ],
)
def test_neighbors__label_lists_differ_when_they_share_none(label, other, differs):
    kind = pa.list_(pa.string())
    near = neighbors_table(("row_0", 1, "v1", None, 0.5)).set_column(3, "validation_label", pa.array([other], kind))
    values = values_table([1.0], labels=pa.array([label], kind))
    assert summary_of(values, neighbors=near).lowest[0].neighbors[0].differs is differs


def test_neighbors__regression_targets_are_never_marked():
    near = neighbors_table(("row_0", 1, "v1", 0.75, 0.5))
    values = values_table([1.0], labels=[0.25])
    assert not summary_of(values, neighbors=near).lowest[0].neighbors[0].differs


def test_neighbors__without_a_shared_class_all_differ():
    near = neighbors_table(*(("row_0", place, f"v{place}", "dog", 0.1 * place) for place in range(1, 6)))
    assert [one.differs for one in summary_of(values_table([1.0]), neighbors=near).lowest[0].neighbors] == [True] * 5


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "none"),
        (["pass", "pass"], "pass"),
        (["pass", "warn"], "warn"),
        (["fail", "warn", "pass"], "fail"),
        (["pass", "no such verdict"], "fail"),
    ],
)
def test_verdict__is_the_worst_finding(verdicts, expected):
    findings = [{"name": "check", "verdict": verdict} for verdict in verdicts]
    assert summary_of(values_table([1.0]), findings=findings).verdict == expected


def test_card__says_what_the_run_record_says():
    card = summary_of(values_table([1.0])).card
    facts = {fact.name: (fact.text, fact.note) for fact in card.facts}
    assert facts["Parameters"] == ("k = 10", "")
    assert facts["Training rows"] == ("8,000", "lake/train · 3 rejected")
    assert facts["Validation rows"] == ("500", "lake/validation")
    assert facts["Plan"] == ("replicated", "8 chunks · index of 11.8 MiB · it fits")
    assert "Self-validation" not in facts
    assert card.created == "2026-11-22 02:30:00 UTC"
    assert [stage.share for stage in card.stages] == [0.25, 0.75]
    assert card.total_seconds == 4.0


def test_card__says_how_well_values_are_known():
    def note(**changes):
        card = summary_of(values_table([1.0]), run=RUN | changes).card
        return next(fact.note for fact in card.facts if fact.name == "Ranking")

    assert note(error_bound=0.0, row_bounds=False) == ""
    assert note(error_bound=0.25, row_bounds=False) == "no value is off by more than 0.25"
    by_row = "no value is off by more than 0.25; each row's own bound is in the column error_bound"
    assert note(error_bound=0.25, row_bounds=True) == by_row


@pytest.mark.parametrize("run", [{}, dict.fromkeys(RUN), {"plan": {}, "stages": [{}], "warnings": ["plain"]}])
def test_card__keys_may_be_missing(run):
    card = summary_of(values_table([1.0]), run=run).card
    assert (card.run_id, card.method, card.aggregate) == ("", "", "mean")
    assert [fact.name for fact in card.facts if fact.name != "Aggregate"] == []


def test_summarize__names_what_is_missing():
    near = neighbors_table(("row_0", 1, "v1", "cat", 0.1)).drop_columns("position")
    with pytest.raises(InputError) as caught:
        summary_of(values_table([]).drop_columns("rank"), neighbors=near)
    assert [problem.got for problem in caught.value.problems] == ["no rank", "no position", "none"]


def test_clip__cuts_long_text_and_its_title():
    cut = clip("x" * 1_000_000)
    assert (len(cut.shown), len(cut.title)) == (80, 400)
    assert cut.shown.endswith("x…")
    assert cut.title.endswith("x…")
    assert clip("y" * 81).title == "y" * 81
    assert clip("z" * 80).title == ""


def test_clip__joins_lists_and_stops_early():
    assert clip(["a", 1, "b"]).shown == "a, 1, b"
    assert len(clip(["ab"] * 1_000_000).title) == 400


def test_clip__shows_what_is_invisible():
    assert clip("a\nb\x00\u202ec\u2028").shown == "a\\nb\\x00\\u202ec\\u2028"
    assert clip("\ud800").shown == "\\ud800"
    assert clip("👩\u200d🔬 é").shown == "👩\u200d🔬 é"
    assert clip(None).shown == clip([]).shown == "–"
    assert clip("").shown == clip([""]).shown == '""'  # a label like any other, which somebody must see and click
    assert clip(["", "a"]).shown == ", a"


def test_clip__never_ends_in_a_joiner():
    assert clip("x" * 78 + "\u200dyz").shown == "x" * 78 + "…"


@pytest.mark.parametrize(
    ("largest", "number", "expected", "unit"),
    [
        (1e-4, -1.5e-5, "−0.1500", "× 10⁻⁴"),
        (1e-4, 0.0, "0", "× 10⁻⁴"),
        (1e-4, 1e-12, "0.0000", "× 10⁻⁴"),
        (0.5, -1.5e-5, "−0.00002", ""),
        (0.5, -0.0, "0", ""),
        (0.5, None, "–", ""),
        (0.5, float("nan"), "–", ""),
        (0.5, float("-inf"), "−∞", ""),
        (43.21, 1.5, "1.500", ""),
        (123456.0, 3.0, "3", ""),
        (1e7, 1234567.0, "0.1235", "× 10⁷"),
        (5e-324, 5e-324, "0.0000", "× 10⁻³²⁴"),
    ],
)
def test_scale__one_unit_for_a_report(largest, number, expected, unit):
    scale = scale_of(-largest, 0.0)
    assert (scale.show(number), scale.unit) == (expected, unit)


def test_numbers_as_text():
    assert significant(0.1234567) == "0.123457"
    assert significant(-1.53347e-3 / 100, 3) == "−1.53 × 10⁻⁵"
    assert distance(5.48) == "5.480"
    assert count(1234567) == "1,234,567"
    assert [share(part) for part in (0.0, 1e-9, 0.125, 0.99999, 1.0)] == [
        "0.0%",
        "<0.1%",
        "12.5%",
        ">99.9%",
        "100.0%",
    ]
    assert [seconds(s) for s in (0.004, 1.25, 59.96, 125.0, 3725.0)] == [
        "4 ms",
        "1.2 s",
        "1 min 00 s",
        "2 min 05 s",
        "1 h 02 min",
    ]


# --- tasks ------------------------------------------------------------------------------------------------


def tasks_table(owners):
    values = {"acme": [0.5, -0.25, 0.125], "zoo": [0.0, 1.0, 2.0]}
    parts = [values_table(of_task).drop_columns(["label"]) for of_task in values.values()]
    tasks = [task for task in values for _ in range(3)]
    table = pa.concat_tables(parts).append_column("task", pa.array(tasks)).append_column("owner", pa.array(owners * 2))
    told = [{"task": task, "n_validation": 7, "weight": 2.5} for task in values]
    return table, told


def test_summary__tells_what_rows_and_owners_sum_to_by_task():
    by_task, told = tasks_table(["x", None, "x"])
    summary = summarize(values_table([1.0, 2.0, 3.0]), RUN | {"tasks": told}, [], NO_NEIGHBORS, by_task=by_task)
    assert [(line.task, line.total, line.share_below_zero) for line in summary.tasks.lines] == [
        ("acme", 0.375, 1 / 3),
        ("zoo", 3.0, 0.0),
    ]
    assert [(line.owner, line.totals) for line in summary.tasks.owners] == [("x", (0.625, 2.0)), (None, (-0.25, 1.0))]


def test_summary__of_more_tasks_than_a_page_has_place_for_counts_the_others():
    names = [f"task {n}" for n in range(70)]
    by_task = pa.concat_tables([values_table([1.0]).append_column("task", pa.array([name])) for name in names])
    told = [{"task": name, "n_validation": 1, "weight": 1.0} for name in names]
    found = summarize(values_table([1.0]), RUN | {"tasks": told}, [], NO_NEIGHBORS, by_task=by_task).tasks
    assert (len(found.lines), found.n_hidden, found.owners, len(found.by_owner)) == (60, 10, (), 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("add", "20 validation rows before, 8 added, 28 now"),
        ("remove", "36 validation rows before, 8 taken away, 28 now"),
    ],
)
def test_card__tells_from_which_run_a_changed_one_came(change, told):
    parent = {"run_id": "first", "fingerprint": "0", "change": change, "n_rows": 8}
    facts = {fact.name: fact for fact in run_card({"parent": parent, "inputs": {"n_validation": 28}}).facts}
    assert (facts["Changed run"].text, facts["Changed run"].note) == ("first", told)
    one = {
        fact.name: fact for fact in run_card({"parent": parent | {"n_rows": 1}, "inputs": {"n_validation": 2}}).facts
    }
    assert ("1 validation row before" in one["Changed run"].note) == (change == "add")
    assert "Changed run" not in {fact.name for fact in run_card({"parent": None, "inputs": {}}).facts}
    assert run_card({"parent": {"run_id": "first"}, "inputs": {}}).facts[-1].note == ""

"""The lowest rows as lines for a terminal."""

from __future__ import annotations

from dvspark.report.lowest import ADVICE, LABEL_ADVICE, NUMBER_ADVICE, lowest_lines


def row(each, label, value, *near):
    return {"id": each, "label": label, "value": value, "neighbor_labels": list(near)}


def test_lines__are_in_one_unit_and_columns():
    lines = lowest_lines([row("a", "cat", -2e-4, "dog", "dog"), row("b" * 40, ["x", "y"], 5e-5, "cat")])
    assert lines[0] == "the lowest values"
    assert lines[1].split() == [
        "value",
        "×",
        "10⁻⁴",
        "row",
        "label",
        "labels",
        "of",
        "the",
        "nearest",
        "validation",
        "rows",
    ]
    assert lines[2].split() == ["−2.0000", "a", "cat", "dog,", "dog"]
    assert lines[3].split() == ["0.5000", "b" * 27 + "…", "x,", "y", "cat"]
    assert lines[2].index("cat") == lines[3].index("x, y") == lines[1].index("label")
    assert lines[4:] == [ADVICE, LABEL_ADVICE]


def test_lines__without_neighbors_say_nothing_of_them():
    lines = lowest_lines([row(7, 0.25, 1.5)])
    assert lines[2].split() == ["1.5000", "7", "0.25"]
    assert lines[-1] == ADVICE


def test_lines__of_numbers_to_predict_ask_for_numbers_far_off():
    """All neighbors of a row have another number, so the advice for labels told nothing."""
    assert lowest_lines([row(7, 0.25, 1.5, 0.3, 8.0)])[-2:] == [ADVICE, NUMBER_ADVICE]


def test_lines__of_no_rows_are_none():
    assert lowest_lines(()) == []


def test_lines__forged_names_stay_on_their_line():
    lines = lowest_lines([row("a\naudit sample: pass", "x\u202ey", 1.0)])
    assert len(lines) == 4
    assert "a\\naudit" in lines[2]
    assert "\u202e" not in "".join(lines)


def test_lines__of_owners_are_not_told_as_rows():
    lines = lowest_lines([row("Bob", None, 0.03), row("alice", None, 0.4)])
    assert [line.split() for line in lines[1:]] == [["value", "owner"], ["0.03000", "Bob"], ["0.40000", "alice"]]

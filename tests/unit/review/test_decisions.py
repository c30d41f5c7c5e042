"""Decisions: the first rule that fits decides, and no class is emptied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

from dvspark.review.copies import Copies
from dvspark.review.decisions import RELABEL_FROM, Evidence, decide
from dvspark.review.judged import Judged
from dvspark.review.reasons import KEPT, reasons
from dvspark.review.votes import RowLabels

ROW = st.fixed_dictionaries(
    {
        "code": st.integers(0, 3),
        "best": st.integers(0, 3),
        "issue": st.booleans(),
        "score": st.floats(0.0, 1.0),
        "best_score": st.floats(0.5, 1.0),
        "copy": st.booleans(),
        "leak": st.booleans(),
        "outlying": st.booleans(),
    }
)


def evidence(rows: list[dict[str, object]]) -> Evidence:
    n = len(rows)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    codes, best = columns["code"].astype(np.int32), columns["best"].astype(np.int32)
    offsets = np.arange(n + 1)
    of = np.where(columns["copy"] & (np.arange(n) > 0), 0, -1)
    judged = Judged(
        columns["score"],
        columns["issue"],
        codes != best,
        RowLabels(offsets, best),
        columns["best_score"],
        np.ones(n, np.int64),
        20,
        0.1,
    )
    copies = Copies(of, np.where(of >= 0, 0.0, np.nan))
    leaks = Copies(np.where(columns["leak"], 0, -1), np.where(columns["leak"], 0.5, np.nan))
    same = (of >= 0) & (codes == codes[0])
    return Evidence(RowLabels(offsets, codes), judged, copies, same, leaks, columns["outlying"], 4)


@examples(200)
@given(st.lists(ROW, min_size=1, max_size=12))
def test_rules__decide_in_their_order_and_save_every_class(rows: list[dict[str, object]]) -> None:
    found = evidence(rows)
    decided = decide(found)
    for place, row in enumerate(rows):
        is_copy, another = bool(found.copies.found[place]), row["issue"] and row["best"] != row["code"]
        if row["leak"] or (is_copy and found.same_labels[place]):
            expected = "drop"
        elif another:
            expected = "relabel" if float(str(row["best_score"])) >= RELABEL_FROM else "drop"
        else:
            expected = "check" if row["issue"] or is_copy or row["outlying"] else "keep"
        if place in decided.saved:
            assert expected in ("drop", "relabel")
            expected = "check"
        assert decided.words[place] == expected
    left = [row["code"] for row, word in zip(rows, decided.words, strict=True) if word in ("keep", "check")]
    left += [row["best"] for row, word in zip(rows, decided.words, strict=True) if word == "relabel"]
    assert {row["code"] for row in rows} <= set(left)
    for place, code in zip(decided.saved.tolist(), decided.saved_codes.tolist(), strict=True):
        assert rows[place]["code"] == code
        assert left.count(code) == 1  # it would have had no row
    told = reasons(found, decided, list("abcd"), list(range(len(rows))), ["v"])
    assert all(text.endswith(".") for text in told)
    assert [text == KEPT for text in told] == (decided.words == "keep").tolist()


@pytest.mark.parametrize(("best_score", "sure"), [(0.85, "0.85"), (0.9951, "over 0.99"), (1.0, "over 0.99")])
def test_reason__says_how_many_nearest_rows_of_how_many_and_never_that_it_is_certain(
    best_score: float, sure: str
) -> None:
    row = {"code": 0, "best": 1, "issue": True, "score": 0.1, "best_score": best_score}
    found = evidence([{**row, "copy": False, "leak": False, "outlying": False}] * 2)
    expected = f"Its label is probably 'b', not 'a', with probability {sure}; 1 of its 20 nearest rows have it."
    assert reasons(found, decide(found), list("abcd"), [0, 1], ["v"])[0].startswith(expected)

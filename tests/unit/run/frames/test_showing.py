"""A result in a notebook: its run and findings, and no word that a browser takes for markup."""

from __future__ import annotations

from xml.etree import ElementTree

from dvspark.run.frames.showing import result_html, result_line
from dvspark.schemas import Finding

RECORD = {
    "run_id": "a<b>&",
    "method": {"name": "knn_shapley"},
    "inputs": {"train": {"n_rows": 1400}, "n_validation": 397},
}
FINDINGS = [
    Finding("efficiency", "pass", 1e-17, 1e-9, "values add up"),
    Finding("labels", "warn", 1, 0, "7 <script>"),
]


def test_result_line__says_what_was_valued_and_the_worst_verdict() -> None:
    expected = "run a<b>&: knn_shapley of 1,400 training rows by 397 validation rows, audit: warn"
    assert result_line(RECORD, FINDINGS) == expected
    one = {**RECORD, "inputs": {"train": {"n_rows": 1}, "n_validation": 1}}
    assert "of 1 training row by 1 validation row, audit" in result_line(one, FINDINGS)
    private = {**RECORD, "inputs": {"train": {}, "n_validation": 397}}
    assert "of training rows by" in result_line(private, FINDINGS[:1])


def test_result_html__has_a_row_for_each_finding_and_is_escaped() -> None:
    page = ElementTree.fromstring(f"<div>{result_html(RECORD, FINDINGS)}</div>")
    assert page.findtext("p") == result_line(RECORD, FINDINGS)
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert rows == [
        ["finding", "verdict", "measured", "allowed", "meaning"],
        ["efficiency", "pass", "1e-17", "1e-09", "values add up"],
        ["labels", "warn", "1", "0", "7 <script>"],
    ]
    assert page.find(".//script") is None

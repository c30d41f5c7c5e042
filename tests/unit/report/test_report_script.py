"""The report's own script in a real browser: search, filters, order, pages, decisions and their CSV."""

from __future__ import annotations

import csv
import io
import json
import time

import numpy as np
import pyarrow as pa
import pytest
from report_data import FINDINGS, NO_NEIGHBORS, RUN, neighbors_table, realistic_values, values_table
from test_report_render import HOSTILE

from dvspark.report import render_html, summarize
from dvspark.report.browse import browsed_ids
from dvspark.report.shown import Shown

pytestmark = pytest.mark.browser

N = 6_000
FOUND = "document.getElementById('found').textContent"
IDS = "[...document.querySelectorAll('#lines td.id > bdi')].map((each) => each.textContent)"


def reviewed(values):
    """Return a review of a table of values: every tenth row is relabeled, every 25th is a copy of the row before."""
    n = len(values)
    decision = ["relabel" if row % 10 == 3 else "drop" if row % 25 == 4 else "keep" for row in range(n)]
    of_copies = [row % 25 == 4 for row in range(n)]
    ids = values["id"].to_pylist()
    return pa.table(
        {
            "id": values["id"],
            "label_score": [(row * 7919 % n) / n for row in range(n)],
            "label_issue": [each == "relabel" for each in decision],
            "suggested_label": [f"class {row % 58}" for row in range(n)],
            "suggested_score": [0.9 if row % 20 == 3 else 0.9999 for row in range(n)],
            "duplicate_of": [ids[row - 1] if is_copy else None for row, is_copy in enumerate(of_copies)],
            "duplicate_distance": [0.001 if is_copy else None for is_copy in of_copies],
            "leaked_from": pa.nulls(n, pa.string()),
            "outlier_score": [0.5] * n,
            "decision": decision,
            "reason": [f"reason of row {row}" for row in range(n)],
        }
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    values = realistic_values(N)
    review = reviewed(values)
    near = [(each, 1, "v1", "class 1", 0.5) for each in browsed_ids(values, review).to_pylist()[:50]]
    shown = Shown("text", {f"row_{row}": f"words about {row}" for row in range(N)})
    summary = summarize(values, RUN, FINDINGS, neighbors_table(*near), review=review, shown=shown)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(summary), encoding="utf-8")
    return path.as_uri()


def test_page__of_a_million_rows_is_less_than_3_mb():
    n = 1_000_000
    numbers = np.random.default_rng(3).normal(0, 1e-6, n)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-numbers, kind="stable")] = np.arange(1, n + 1)
    labels = pa.array(np.char.add("class ", (np.arange(n) % 1000).astype(str)))
    ids = pa.array(np.char.add("a rather long name of a row ", np.arange(n).astype(str)))
    values = pa.table({"id": ids, "value": numbers, "standard_error": np.abs(numbers), "rank": rank, "label": labels})
    few = values.slice(0, 5_000)
    others = values.slice(5_000)
    review = pa.concat_tables(
        [
            reviewed(few).set_column(10, "reason", [[f"{row}: " + "a long reason " * 20 for row in range(len(few))]]),
            kept(others),
        ],
        promote_options="permissive",
    )
    near = [(each, place, f"v{place}", "a label", 0.5) for each in few["id"].to_pylist()[:200] for place in range(1, 6)]
    shown = Shown("text", dict.fromkeys(few["id"].to_pylist(), "a long text " * 100))
    html = render_html(summarize(values, RUN, FINDINGS, neighbors_table(*near), review=review, shown=shown))
    assert len(html.encode()) < 3_000_000


def kept(values):
    """Return a review that keeps all rows, with the same columns."""
    n = len(values)
    return pa.table(
        {
            "id": values["id"],
            "label_score": np.ones(n),
            "label_issue": np.zeros(n, bool),
            "decision": pa.array(["keep"] * n),
            "reason": pa.nulls(n, pa.string()),
        }
    )


def set_control(tab, name, value, event):
    tab.until(
        f"(() => {{ const control = document.getElementById('{name}'); control.value = {json.dumps(value)};"
        f" control.dispatchEvent(new Event('{event}')); return true; }})()"
    )


def test_script__shows_what_a_review_decided_first(tab, page):
    tab.open(page)
    n_decided = sum(row % 10 == 3 or row % 25 == 4 for row in range(N))
    assert tab.until(FOUND) == "1–25 of 5,000 rows (of 6,000 in the table)"
    set_control(tab, "of-decision", "keep", "change")
    assert tab.until(FOUND).startswith(f"1–25 of {5000 - n_decided:,} rows")
    set_control(tab, "of-decision", "relabel", "change")
    scores = [(row * 7919 % N) / N for row in range(N)]
    relabeled = sorted((row for row in range(N) if row % 10 == 3), key=scores.__getitem__)
    assert tab.until(IDS) == [f"row_{row}" for row in relabeled[:25]]
    assert tab.complaints() == []
    assert [each for each in tab.requests() if not each.startswith(("file:", "data:"))] == []


def test_script__never_tells_a_probability_of_one(tab, page):
    tab.open(page)
    set_control(tab, "of-decision", "relabel", "change")
    shown = tab.until(
        "[...document.querySelectorAll('#lines .suggested small')].map((each) => each.textContent.trim())"
    )
    assert {*shown} == {"90%", "over 99%"}


def test_script__searches_pages_and_sorts(tab, page):
    tab.open(page)
    set_control(tab, "search", "WORDS about 123", "input")
    found = tab.until(IDS)
    assert "row_123" in found
    assert all("123" in each for each in found)
    set_control(tab, "search", "no such row", "input")
    assert tab.until(FOUND) == "No row is like that."
    set_control(tab, "search", "", "input")
    first = tab.until(IDS)
    tab.until("(() => { document.getElementById('after').click(); return true; })()")
    assert tab.until(FOUND).startswith("26–50 of 5,000")
    assert not set(first) & set(tab.until(IDS))
    set_control(tab, "order", "id", "change")
    ids = [int(each[4:]) for each in tab.until(IDS)]
    assert ids == sorted(ids)
    assert len(ids) == 25
    set_control(tab, "order", "value", "change")
    ranks = (
        "[...document.querySelectorAll('#lines td.id > small')]"
        ".map((each) => +each.textContent.match(/rank ([0-9,]+)/)[1].replaceAll(',', ''))"
    )
    found = tab.until(ranks)
    assert found == sorted(found, reverse=True)
    assert tab.complaints() == []


def test_script__a_class_and_a_copy_lead_to_rows(tab, page):
    tab.open(page)
    tab.until(
        "(() => { [...document.querySelectorAll('button[data-class]')].find((each) =>"
        " each.textContent === 'class 7').click(); return true; })()"
    )
    labels = "[...document.querySelectorAll('#lines td.label > button')].map((each) => each.textContent)"
    assert set(tab.until(labels)) == {"class 7"}
    set_control(tab, "of-class", "", "change")
    set_control(tab, "of-decision", "drop", "change")
    copied = "document.querySelector('#lines .reason button')"
    first = tab.until(f"{copied}.textContent")
    tab.until(f"(() => {{ {copied}.click(); return true; }})()")
    assert first in tab.until(IDS)
    assert tab.complaints() == []


def opened_page(tab, tmp_path, values, near=NO_NEIGHBORS, **more):
    path = tmp_path / "report.html"
    path.write_text(render_html(summarize(values, RUN, [], near, **more)), encoding="utf-8")
    tab.open(path.as_uri())


def click(tab, what, name):
    """Click the first element of a kind that has a text."""
    tab.until(
        f"(() => {{ [...document.querySelectorAll('{what}')].find((each) => each.textContent === {json.dumps(name)})"
        ".click(); return true; })()"
    )


CLASSES = "[...document.querySelectorAll('#of-class option')].map((each) => each.textContent)"
LABELS = "[...document.querySelectorAll('#lines td.label > button')].map((each) => each.textContent)"


def test_script__labels_that_begin_alike_are_different_classes(tab, tmp_path):
    labels = [f"https://example.org/{'long/' * 20}{end}" for end in ("cat", "dog", "dog")]
    values = values_table([0.1, 0.2, 0.3], labels=labels)
    review = kept(values).append_column("suggested_label", pa.array([labels[1], labels[1], labels[1]]))
    near = neighbors_table(("row_0", 1, "v1", labels[1], 0.5))
    opened_page(tab, tmp_path, values, near, review=review)
    names = tab.until(CLASSES)[1:]
    assert [name[-3:] for name in names] == ["cat", "dog"]
    assert all(len(name) <= 80 for name in names)
    click(tab, "button[data-class]", names[0])
    assert tab.until(IDS) == ["row_0"]
    assert tab.until("document.querySelector('#lines .suggested button').textContent") == names[1]
    click(tab, "#lines .near button", names[1])
    assert sorted(tab.until(IDS)) == ["row_1", "row_2"]
    assert tab.until("document.querySelectorAll('#lines .suggested').length === 0")
    assert tab.complaints() == []


def test_script__a_row_with_several_labels_is_in_each_of_their_classes(tab, tmp_path):
    labels = [["cat", "dog"], ["cat"], ["dog, cat"], [], [f"label {at}" for at in range(60)]]
    values = values_table([0.1 * row for row in range(len(labels))], labels=labels)
    near = neighbors_table(("row_0", 1, "v1", ["cat", "bird"], 0.5))
    review = kept(values).append_column("suggested_label", pa.array([["dog", "cat"], ["dog"], *labels[2:]]))
    opened_page(tab, tmp_path, values, near, review=review)
    assert tab.until(CLASSES)[1:4] == ["cat", "dog", "dog, cat"]
    click(tab, "button[data-class]", "cat")
    assert sorted(tab.until(IDS)) == ["row_0", "row_1"]
    assert tab.until("document.getElementById('search').value === ''")
    click(tab, "#lines td.label > button", "dog")
    assert tab.until(IDS) == ["row_0"]
    assert tab.until("document.querySelector('#lines td.label').textContent") == "cat, dog"
    assert tab.until("document.querySelector('#lines .near').textContent") == "cat, birdv1 0.5"
    set_control(tab, "of-class", "", "change")
    suggested = "[...document.querySelectorAll('#lines .suggested')].map((each) => each.textContent)"
    assert tab.until(suggested) == ["→ dog"]
    set_control(tab, "search", "row_4", "input")
    assert tab.until("document.querySelector('#lines td.label').textContent").endswith(", label 7, and more")
    assert tab.until("document.body.textContent.includes('more than 50 labels, it knows the first 50')")
    assert tab.complaints() == []


def test_script__targets_of_a_regression_are_no_classes(tab, tmp_path):
    near = neighbors_table(("row_0", 1, "v1", 0.125, 0.5))
    opened_page(tab, tmp_path, values_table([0.1, 0.2], labels=[0.25, 0.5]), near)
    assert tab.until("document.getElementById('of-class').offsetParent === null")
    assert tab.until("[...document.querySelectorAll('#lines td.label')].map((each) => each.textContent)") == [
        "0.25",
        "0.5",
    ]
    assert tab.until("document.querySelector('#lines .near').textContent") == "0.125v1 0.5"
    assert tab.until("document.querySelectorAll('#lines button').length === 0")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_rows__can_be_decided_on_at_any_width(tab, page, width):
    """At 768 the column of decisions lay beyond the edge."""
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    try:
        tab.open(page)
        assert tab.until("document.documentElement.scrollWidth") <= width
        assert tab.until("document.querySelector('#lines select').getBoundingClientRect().right") <= width
    finally:
        tab.call("Emulation.clearDeviceMetricsOverride")


def test_script__gives_decisions_back_as_csv(tab, page, tmp_path):
    tab.open(page)
    tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    first = tab.until(IDS)[0]
    tab.until(
        "(() => { const one = document.querySelector('#lines select'); one.value = 'keep';"
        " one.dispatchEvent(new Event('change')); return true; })()"
    )
    assert "1 of them changed here" in tab.until("document.getElementById('export-note').textContent")
    tab.until("(() => { document.getElementById('export').click(); return true; })()")
    path, end = tmp_path / "decisions.csv", time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, "no file came"
        tab.until("true")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [*rows[0]] == ["id", "decision", "suggested_label"]
    by_id = {row["id"]: row for row in rows}
    assert by_id[first]["decision"] == "keep"
    assert sum(row["decision"] == "keep" for row in rows) == 1
    n_decided = sum(row % 10 == 3 or row % 25 == 4 for row in range(N))
    assert len(rows) == n_decided
    assert by_id["row_13"]["suggested_label"] == "class 13" or first == "row_13"


def test_script__one_row_and_one_decision_are_said_as_one(tab, tmp_path):
    values = values_table([0.1])
    review = kept(values).set_column(3, "decision", pa.array(["drop"]))
    opened_page(tab, tmp_path, values, review=review)
    assert tab.until(FOUND) == "1 of 1 row"
    assert tab.until("document.getElementById('export-note').textContent") == "1 decision, 0 of them changed here"


def test_script__hostile_texts_stay_texts(tab, tmp_path):
    values = values_table([0.1 * row - 0.3 for row in range(len(HOSTILE))], labels=HOSTILE, ids=HOSTILE)
    near = neighbors_table(*((each, 1, HOSTILE[1], HOSTILE[7], 0.5) for each in HOSTILE))
    shown = Shown(HOSTILE[0], dict(zip(HOSTILE, [*HOSTILE[1:], "javascript:alert(3)"], strict=True)))
    path = tmp_path / "report.html"
    path.write_text(render_html(summarize(values, RUN, [], near, shown=shown)), encoding="utf-8")
    tab.open(path.as_uri())
    assert len(tab.until(IDS)) == len(HOSTILE)
    assert tab.until("document.querySelectorAll('#lines img, #lines a, #lines script').length === 0")
    assert tab.until("document.querySelectorAll('script').length") == 2
    assert tab.complaints() == []
    assert [each for each in tab.requests() if not each.startswith("file:")] == []


def test_script__pictures_and_links_are_shown(tab, tmp_path):
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (640, 320), (200, 30, 60)).save(written, "PNG")
    contents = [written.getvalue(), b"no picture", "https://example.org/a?b=1&c=2", "plain words", None]
    values = values_table([0.1 * row for row in range(5)])
    shown = Shown("picture", {f"row_{row}": content for row, content in enumerate(contents)})
    path = tmp_path / "report.html"
    path.write_text(render_html(summarize(values, RUN, [], NO_NEIGHBORS, shown=shown)), encoding="utf-8")
    tab.open(path.as_uri())
    assert tab.until("document.querySelector('#lines img').naturalWidth") == 112
    assert tab.until("document.querySelector('#lines img').alt") == "picture of row row_0"
    assert tab.until("document.querySelector('#lines a').getAttribute('href')") == contents[2]
    assert tab.until("document.body.textContent.includes('no picture that can be read')")
    assert tab.complaints() == []


def test_script__the_focus_stays_at_the_rows(tab, page):
    tab.open(page)
    focused = "document.activeElement.id || document.activeElement.getAttribute('aria-label') || 'nothing'"
    set_control(tab, "of-decision", "drop", "change")
    tab.until(
        "(() => { const b = document.querySelector('#lines .reason button'); b.focus(); b.click(); return 1; })()"
    )
    assert tab.until(focused) == "Rows"
    set_control(tab, "search", "", "input")
    set_control(tab, "of-class", "0", "change")
    turn = "(() => { const b = document.getElementById('after'); b.focus(); b.click(); return 1; })()"
    n_pages = -(-int(tab.until(FOUND).split(" of ")[1].split()[0].replace(",", "")) // 25)
    for _ in range(n_pages - 2):
        tab.until(turn)
        assert tab.until(focused) == "after"
    tab.until(turn)
    assert tab.until(focused) == "before"


def test_script__each_control_shows_its_focus(tab, page):
    tab.open(page)
    met = []
    state = """(() => { const at = document.activeElement, style = getComputedStyle(at);
      const name = at.id || at.className || at.tagName;
      return JSON.stringify([name, style.outlineStyle, parseFloat(style.outlineWidth)]); })()"""
    for _ in range(20):
        for kind in ("rawKeyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        name, style, width = json.loads(tab.until(state))
        met.append(name)
        assert (style, width >= 1) in {("solid", True), ("auto", True)}, name
    places = [met.index(name) for name in ("search", "of-class", "of-decision", "order", "export", "scroll", "link")]
    assert places == sorted(places)

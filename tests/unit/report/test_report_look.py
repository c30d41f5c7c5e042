"""The look of the report in a real browser: contrast, narrow windows, paper."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from report_data import FINDINGS, NO_NEIGHBORS, RUN, neighbors_table, realistic_values, values_table
from test_report_script import reviewed

from dvspark.report import render_html, summarize
from dvspark.report.browse import browsed_ids

pytestmark = pytest.mark.browser

N = 120
LONG = "a company with a long name, of which no part may be out of sight on a narrow screen"
# A4 less Chromium's margins.
PAPER_WIDTH = 717

# Texts whose contrast with what is behind them is below 4.5 to 1, the least that WCAG AA asks for.
LOW_CONTRAST = """
(() => {
  const parsed = (color) => { const parts = color.match(/[0-9.]+/g).map(Number); return [...parts, 1].slice(0, 4); };
  const light = (color) => {
    const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const color = parsed(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const low = (each, pseudo, property) => {
    const color = parsed(getComputedStyle(each, pseudo)[property]), back = behind(each);
    const faint = color[3] * Number(getComputedStyle(each, pseudo).opacity);
    const seen = [0, 1, 2].map((at) => color[at] * faint + back[at] * (1 - faint));
    const [more, less] = [light(seen), light(back)].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05) < 4.5;
  };
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const each = text.parentElement;
    if (!text.textContent.trim() || !each.checkVisibility() || each.closest("option")) continue;
    if (low(each, null, each.closest("svg") ? "fill" : "color")) found.push(text.textContent.trim());
  }
  if (low(document.getElementById("search"), "::placeholder", "color")) found.push("placeholder");
  return JSON.stringify([...new Set(found)]);
})()
"""
# What lies beyond the right edge of the page, and is not in a part that scrolls by itself; all of it, on paper.
BEYOND = """
JSON.stringify([...document.querySelectorAll('main *')].filter((each) => each.checkVisibility() && !each.closest('svg')
  && (INSIDE || !each.closest('.scroll') || each.closest('.cards'))
  && each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((each) => `${each.tagName} ${each.textContent}`).slice(0, 5))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    values = realistic_values(N).append_column("owner", pa.array([f"{row} {LONG}" for row in range(N)]))
    names = pa.array([f"{row} {LONG}" for row in range(N)])
    values = values.set_column(values.column_names.index("id"), "id", names)
    review = reviewed(values)
    ids = browsed_ids(values, review).to_pylist()
    near = [(each, at, f"v{at}", "class 1", 0.5) for each in ids for at in (1, 2)]
    run = RUN | {"tasks": [{"task": f"{task} {LONG}", "n_validation": 9, "weight": 0.1} for task in range(9)]}
    by_task = pa.concat_tables(
        values.append_column("task", pa.array([one["task"]] * N)).set_column(
            1, "value", pa.array(np.linspace(-1, 1, N) * 1e-4)
        )
        for one in run["tasks"]
    )
    summary = summarize(values, run, FINDINGS, neighbors_table(*near), review=review, by_task=by_task)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(summary), encoding="utf-8")
    return path.as_uri()


def open_as(tab, page, width, scheme="light", media="screen"):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.call("Emulation.setEmulatedMedia", media=media, features=features)
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    tab.open(page)
    assert tab.until("document.querySelectorAll('#lines tr').length") == 25


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_look__all_texts_have_enough_contrast(tab, page, scheme):
    open_as(tab, page, 1280, scheme)
    tab.until("(() => { document.querySelectorAll('details').forEach((one) => { one.open = true; }); return true; })()")
    assert json.loads(tab.until(LOW_CONTRAST)) == []


@pytest.mark.parametrize("width", [360, 768, 1024, 1280])
def test_look__nothing_lies_beyond_the_window(tab, page, width):
    open_as(tab, page, width)
    assert json.loads(tab.until(BEYOND.replace("INSIDE", "false"))) == []
    assert tab.until("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_look__letters_of_the_figures_can_be_read(tab, page, width):
    open_as(tab, page, width)
    heights = "[...document.querySelectorAll('svg text')].map((each) => each.getBoundingClientRect().height)"
    # The height of a line is some 1.2 times the size of its letters.
    assert tab.until(f"Math.min(...{heights}.filter(Boolean))") >= 12


def test_look__letters_of_the_figures_do_not_touch(tab, tmp_path):
    values = values_table(np.linspace(-0.0061, 0.0105, 50).tolist())
    path = tmp_path / "report.html"
    path.write_text(render_html(summarize(values, RUN, FINDINGS, NO_NEIGHBORS)), encoding="utf-8")
    open_as(tab, path.as_uri(), 360)
    boxes = """JSON.stringify([...document.querySelectorAll('svg')].map((svg) => [...svg.querySelectorAll('text')]
      .map((each) => each.getBoundingClientRect()).map((box) => [box.left, box.top, box.right, box.bottom])))"""
    for letters in json.loads(tab.until(boxes)):
        pairs = itertools.combinations(letters, 2)
        assert [
            (one, other)
            for one, other in pairs
            if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] - 3 and other[1] < one[3] - 3
        ] == []


def test_look__nothing_lies_beyond_the_paper(tab, page):
    open_as(tab, page, PAPER_WIDTH, "dark", "print")
    assert json.loads(tab.until(BEYOND.replace("INSIDE", "true"))) == []


def test_look__what_is_folded_is_printed(tab, page):
    open_as(tab, page, PAPER_WIDTH, media="print")
    seen = "[...document.querySelectorAll('details > :not(summary)')].every((each) => each.checkVisibility())"
    assert tab.until(f"{seen} ? 'yes' : 'no'") == "yes"

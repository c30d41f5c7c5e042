from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources

import pyarrow as pa
import pytest
from report_data import FINDINGS, NO_NEIGHBORS, RUN, neighbors_table, realistic_values, values_table

from dvspark.errors import ConfigError
from dvspark.report import render_html, summarize
from dvspark.report.against import compared

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "'; --",
    "line\nbreak",
    "\u202egnp.exe",
    "👩\u200d🔬",
    "{{ 7 * 7 }}",
    "</style><base href=http://evil.example/>",
    "<!-- ]]> <![CDATA[ --!>",
    "</title></bdi></table>&lt;b&gt;&#60;",
]

NEAR = neighbors_table(("row_0", 1, "v1", "cat", 0.5))

LOADING_TAGS = {
    "iframe",
    "object",
    "embed",
    "link",
    "base",
    "img",
    "audio",
    "video",
    "source",
    "form",
}
LOADING_ATTRIBUTES = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}


class Page(HTMLParser):
    """What a browser would see: tags, attributes, and the text between them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.scripts = [], [], [], []
        self.in_script = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.in_script = tag == "script"
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, data):
        (self.scripts if self.in_script else self.text).append(data)


def rendered(values, run=RUN, findings=FINDINGS, neighbors=NO_NEIGHBORS, **more):
    return render_html(summarize(values, run, findings, neighbors, **more))


def hostile_page():
    run = RUN | {
        "run_id": HOSTILE[0],
        "method": {"name": HOSTILE[1], "parameters": {HOSTILE[2]: HOSTILE[0]}},
        "environment": {HOSTILE[1]: HOSTILE[7]},
        "warnings": [dict.fromkeys(("where", "expected", "got", "hint"), HOSTILE[7])],
        "stages": [{"stage": HOSTILE[0], "seconds": 1.0, "rows": 1}],
        "inputs": {side: {"reference": HOSTILE[8], "n_rows": 1} for side in ("train", "validation")},
        "plan": {"name": HOSTILE[0], "reason": HOSTILE[9], "n_chunks": 1},
        "outputs": {"values": HOSTILE[1]},
        "created": HOSTILE[9],
        "dvspark_version": HOSTILE[7],
    }
    findings = [dict(FINDINGS[0], name=HOSTILE[0], meaning=HOSTILE[1])]
    near = neighbors_table(*((text, 1, HOSTILE[1], HOSTILE[7], 0.5) for text in HOSTILE))
    values = values_table([0.1 * n - 0.3 for n in range(len(HOSTILE))], labels=HOSTILE, ids=HOSTILE)
    values = values.append_column("owner", pa.array(HOSTILE))
    run["tasks"] = [{"task": text, "n_validation": 1, "weight": 0.5} for text in HOSTILE]
    by_task = values.append_column("task", pa.array(HOSTILE))
    return rendered(values, run, findings, near, by_task=by_task)


@pytest.mark.parametrize("make", [hostile_page, lambda: rendered(realistic_values())])
def test_page__loads_nothing_and_runs_only_its_own_script(make):
    page = Page(make())
    data, script = page.scripts[0], page.scripts[-1]
    assert page.tags.count("script") == 2
    assert json.loads(data)["n_rows"] > 0
    assert script == resources.files("dvspark.report").joinpath("report.js").read_text(encoding="utf-8")
    assert LOADING_TAGS.isdisjoint(page.tags)
    assert [a for a in page.attributes if a[1].startswith("on")] == []
    targets = [value for _, name, value in page.attributes if name in LOADING_ATTRIBUTES]
    assert [target for target in targets if not target.startswith("#")] == []
    assert [value for _, name, value in page.attributes if name == "style" and "http" in value] == []


def test_page__style_sheet_loads_nothing():
    style = re.search(r"<style>(.*?)</style>", rendered(values_table([1.0])), re.DOTALL).group(1)
    assert "@import" not in style
    assert [target for target in re.findall(r"url\(([^)]*)\)", rendered(realistic_values())) if target[0] != "#"] == []


def test_page__policy_forbids_the_network():
    page = Page(rendered(values_table([1.0])))
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    own = base64.b64encode(hashlib.sha256(page.scripts[-1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{own}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_page__hostile_text_is_only_text():
    html = hostile_page()
    text = "".join(Page(html).text)
    for hostile in (
        "<script>alert(1)</script>",
        "\"><img src=x onerror='alert(2)'>",
        "👩\u200d🔬",
        "{{ 7 * 7 }}",
        "<!-- ]]> <![CDATA[ --!>",
        "</title></bdi></table>&lt;b&gt;&#60;",
    ):
        assert hostile in text
    assert "line\\nbreak" in text
    assert "\u202e" not in html
    assert "</style><base" not in html
    assert "<!--" not in html
    assert "]]>" not in html


def test_page__figures_share_no_ids():
    page = Page(rendered(realistic_values()))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert page.tags.count("svg") == 2
    assert len(ids) == len(set(ids))
    assert len(ids) > 0


def test_page__figures_take_their_colors_from_the_page():
    html = rendered(realistic_values())
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--positive)" in drawings
    assert "var(--negative)" in drawings
    assert re.findall(r"#[0-9a-f]{6}\b", drawings) == []
    assert "DejaVu" not in drawings


def test_page__is_the_same_twice():
    assert rendered(realistic_values()) == rendered(realistic_values())


@pytest.mark.long
def test_page__is_the_same_in_another_process():
    program = (
        "import hashlib; from test_report_render import rendered, realistic_values;"
        "print(hashlib.sha256(rendered(realistic_values(500)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_page__style_file_of_the_user_does_not_matter():
    import matplotlib

    plain = rendered(realistic_values(200))
    with matplotlib.rc_context({"axes.linewidth": 9, "font.size": 30}):
        assert rendered(realistic_values(200)) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_page__says_what_the_run_did():
    text = " ".join("".join(Page(rendered(realistic_values())).text).split())
    for part in (
        "Audit passed",
        "1 of 1 check passed",
        "knn_shapley-1a2b3c4d5e6f",
        "doi:10.14778/3342263.3342637",
        "k = 10",
        "3.2 × 10⁻¹⁴",
        "Expected finite features; got 3 with NaN",
        "What to do: look there",
        "8,000",
        "How to read a value",
        "A value below zero is a reason to look at a row, not a verdict",
        "U(N) − U(∅)",
        "averaged over the validation points",
        "Values by class",
        "Rows to look at first",
        "Highest values",
        "kernel",
        "4.0.1",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("verdict", "said"),
    [("warn", "Audit passed with warnings"), ("fail", "Audit failed"), ("odd", "Audit failed")],
)
def test_page__verdict_is_said(verdict, said):
    html = rendered(values_table([1.0]), findings=[dict(FINDINGS[0], verdict=verdict)])
    assert said in html


def test_page__without_findings_claims_no_audit():
    html = rendered(values_table([1.0]), findings=[])
    assert "Not audited" in html
    assert "passed" not in "".join(Page(html).text)
    assert "U(N)" not in html


def test_page__neighbors_of_another_label_are_marked():
    near = neighbors_table(("row_0", 1, "v1", "cat", 0.5), ("row_0", 2, "v2", "dog", 0.75))
    html = rendered(values_table([1.0]), neighbors=near)
    assert html.count('<li class="differs">') == 2  # the one row is both the lowest and the highest
    marked = re.findall(r'<li class="differs">(.*?)</li>', html)
    assert all("dog" in item and "v2" in item and "0.7500" in item for item in marked)


def test_page__other_aggregate_and_own_game_are_said():
    html = rendered(values_table([1.0]), run=RUN | {"aggregate": "sum", "self_validation": True})
    assert "added up over the training rows, each left out of its own game" in html


def test_page__label_of_a_megabyte_stays_small():
    near = neighbors_table(("row_0", 1, "v" * 1_000_000, "w" * 1_000_000, 0.5))
    html = rendered(values_table([1.0], labels=["x" * 1_000_000]), neighbors=near)
    assert len(html) < 100_000
    assert "x" * 79 + "…" in html
    assert "x" * 400 not in html


def test_page__label_lists_are_joined_and_empty_ones_named():
    html = rendered(values_table([1.0, 2.0], labels=[["a", "b"], []]))
    assert "<bdi>a, b</bdi>" in html
    assert '<i class="absent">no label</i>' in html


def test_page__of_owners_speaks_of_no_labels():
    values = values_table([1.0, 2.0], labels=pa.nulls(2, pa.string()), ids=["Ann", "Bob"])
    html = rendered(values)
    for part in ("no label", ">Label<", "Values by class", "shares no label", '<option value="label">'):
        assert (part in html.partition("<script")[0]) is False
        assert part in rendered(values_table([1.0, 2.0], labels=[None, "cat"]), neighbors=NEAR).partition("<script")[0]


def test_page__hidden_classes_are_counted():
    labels = [f"class {row}" for row in range(75)]
    assert "and 15 more" in rendered(values_table([float(row) for row in range(75)], labels=labels))
    labels = [f"class {row}" for row in range(61)]
    assert "and 1 more, with a higher mean value<" in rendered(
        values_table([float(row) for row in range(61)], labels=labels)
    )


def test_page__a_count_of_one_has_its_noun():
    values = values_table([-0.5])
    other = compared(values, RUN, values_table([0.5], labels=["dog"]), RUN)
    text = "".join(Page(rendered(values, comparison=other)).text)
    assert "1 row is in both runs" in text
    assert "1 has another label now" in text
    assert re.findall(r"\b1 (?:rows|values|checks|warnings|have|chunks|draws)\b", text) == []


@pytest.mark.parametrize(
    "values",
    [
        values_table([0.5]),
        values_table([0.0] * 40),
        values_table([-1e-5] * 3, errors=[None, float("nan"), 0.1]),
        values_table([None, float("inf"), float("nan")]),
        values_table([1e200, -1e200]),
        values_table([5e-324, -5e-324]),
        values_table([1.0, 2.0], labels=[0.25, 0.5]),
        values_table([1.0, 2.0], ids=[1, 2]).drop_columns(["label", "standard_error"]),
    ],
    ids=["one", "zeros", "no errors", "not finite", "huge", "tiny", "regression", "few columns"],
)
@pytest.mark.filterwarnings("error")
def test_page__edge_cases_render(values):
    html = rendered(values, run={}, findings=[])
    assert html.endswith("</html>\n")
    assert ">nan<" not in html.lower()
    assert ">None<" not in html


def test_page__not_finite_values_are_warned_of():
    html = rendered(values_table([1.0, None]), run={})
    assert "1 of 2 values is not a finite number. It is left out" in html
    html = rendered(values_table([None, None]), run={})
    assert "2 of 2 values are not finite numbers. They are left out" in html


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_render__missing_package_tells_what_to_install(package, monkeypatch):
    summary = summarize(values_table([1.0]), RUN, FINDINGS, NO_NEIGHBORS)
    import_module = importlib.import_module

    def without(name, *rest):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return import_module(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigError, match=re.escape("pip install jinja2 matplotlib, or set report: false")) as caught:
        render_html(summary)
    assert caught.value.problems[0].got == f"{package} is not installed"


def test_package__imports_neither_jinja_nor_matplotlib():
    program = "import sys, dvspark.report; print({'jinja2', 'matplotlib', 'pyspark'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

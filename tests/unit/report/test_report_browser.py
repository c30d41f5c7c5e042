from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from chromium import find_browser, opened
from report_data import FINDINGS, RUN, neighbors_table, realistic_values

from dvspark.report import render_html, summarize
from dvspark.report.browse import positions_with_neighbors

pytestmark = pytest.mark.browser

DARK = "--blink-settings=preferredColorScheme=0"
LIGHT = "--blink-settings=preferredColorScheme=1"


@pytest.fixture(scope="module")
def browser():
    return find_browser()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    values = realistic_values()
    near = [
        (train_id, place, f"validation_{place}", f"class {place}", 0.1 * place)
        for train_id in values["id"].take(pa.array(positions_with_neighbors(values))).to_pylist()
        for place in range(1, 6)
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    summary = summarize(values, RUN, FINDINGS, neighbors_table(*near))
    path.write_text(render_html(summary), encoding="utf-8")
    return path


def pixels(browser, report, tmp_path, scheme, width=1280):
    from PIL import Image

    shot = tmp_path / "shot.png"
    opened(browser, report.as_uri(), tmp_path, f"--window-size={width},1600", scheme, f"--screenshot={shot}")
    return np.asarray(Image.open(shot).convert("RGB"), dtype=np.float64)


def test_browser__shows_the_report(browser, report, tmp_path):
    dom = opened(browser, report.as_uri(), tmp_path, "--dump-dom").stdout
    for part in (
        "Audit passed",
        "knn_shapley-1a2b3c4d5e6f",
        "How to read a value",
        "Values by class",
        "class 57",
        "≠",
    ):
        assert part in dom
    assert dom.count("<svg") == 2


def test_browser__light_page_is_drawn(browser, report, tmp_path):
    shot = pixels(browser, report, tmp_path, LIGHT)
    assert shot.shape[1] == 1280
    assert shot.mean() > 200
    assert shot.std() > 10


def test_browser__dark_page_is_drawn(browser, report, tmp_path):
    shot = pixels(browser, report, tmp_path, DARK)
    assert shot.mean() < 80
    assert shot.std() > 10


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_browser__figures_are_in_color(browser, report, tmp_path, scheme):
    shot = pixels(browser, report, tmp_path, scheme)
    colorful = (shot.max(axis=2) - shot.min(axis=2)) > 60
    assert colorful.sum() > 5_000

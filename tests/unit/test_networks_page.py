"""The pages on networks and on training on less show what comes out; gradients are those of finite differences."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.optimize

from dvspark.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@pytest.mark.parametrize("name", ["networks", "training_on_less"])
def test_page__what_it_shows_is_what_comes_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the page writes a table
    found = doctest.testfile(str(PAGE.with_stem(name)), module_relative=False)
    assert found.attempted >= 9
    assert found.failed == 0
    if name == "networks":
        _, command, of_epochs = PAGE.read_text(encoding="utf-8").split("    dvspark value ")
        words = command.split("\n\n")[0].replace("\\\n", " ").split()
        assert main(["value", *words]) == 0
        values = pq.read_table(tmp_path / "results" / "values").sort_by("id")["value"].to_numpy()
        assert (np.argsort(values)[:30] % 10 == 0).sum() > 20  # wrong labels, where chance would find 3
        words = of_epochs.split("\n\n")[0].replace("\\\n", " ").split()
        assert main(["value", *words]) == 0
        values_of_epochs = pq.read_table(tmp_path / "epochs" / "values").sort_by("id")["value"].to_numpy()
        np.testing.assert_allclose(values_of_epochs, values, rtol=1e-12)  # all epochs are alike


def test_page__gradients_are_those_of_finite_differences() -> None:
    test = doctest.DocTestParser().get_doctest(PAGE.read_text(encoding="utf-8"), {}, "networks", None, None)
    names: dict[str, Any] = {}
    for example in test.examples:
        if example.source.startswith("values, epochs"):
            break
        exec(example.source, names)
    x, y, layers = names["x"][:6], names["y"][:6], names["layers"]
    _, last, first = names["gradients"](x, y, layers)

    def losses(flat: np.ndarray, layer: int) -> np.ndarray:
        moved = [flat.reshape(one.shape) if place == layer else one for place, one in enumerate(layers)]
        found: np.ndarray = names["gradients"](x, y, moved)[0]
        return found

    expected = scipy.optimize.approx_fprime(layers[1].ravel(), lambda flat: losses(flat, 1), 1e-7)
    np.testing.assert_allclose(last, expected, rtol=0, atol=1e-5)
    of_first = scipy.optimize.approx_fprime(layers[0].ravel(), lambda flat: losses(flat, 0).mean(), 1e-7)
    np.testing.assert_allclose(first.ravel(), of_first, rtol=0, atol=1e-5)

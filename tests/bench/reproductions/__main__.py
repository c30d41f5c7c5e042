"""The command: makes everything again, keeps it as JSON, and writes the page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dvspark.evaluate.labeled import LabeledRows
from tests.bench.frame import result
from tests.bench.reproductions.article import article_cells, compared
from tests.bench.reproductions.chg_figures import chg_rows, chg_sets
from tests.bench.reproductions.data import paper_sets, public_sets
from tests.bench.reproductions.figures import figure_rows
from tests.bench.reproductions.page import RESULTS, page
from tests.bench.reproductions.seed_article import seed_rows
from tests.bench.reproductions.subsets import TRAINING, subset_rows, subset_sets

PARTS = ("seed", "article", "public", "chg", "subsets")
PAGE = Path(__file__).parents[3] / "docs" / "reproductions.md"


def article_part(folder: Path | None, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the article's cells, and those of them that are published; no cells without its sets."""
    about = _about(seeds)  # before the work: code may change meanwhile
    cells = [] if folder is None else article_cells(paper_sets(folder), seeds)
    published = None if folder is None else folder / "published.json"
    return {**about, "cells": cells, "compared": compared(cells, published)}


def seed_part(seeds: Sequence[int]) -> dict[str, Any]:
    """Return the figures of the article on group testing."""
    return {**_about(seeds), "figures": seed_rows(seeds)}


def public_part(sets: Iterable[tuple[str, LabeledRows]], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the figures of the public sets."""
    return {**_about(seeds), "figures": figure_rows(sets, seeds)}


def chg_part(fashion: Path | None, seeds: Sequence[int]) -> dict[str, Any]:
    """Return which rows are found, and what removals do, by the values of the article on CHG-Shapley."""
    return {**_about(seeds), "figures": chg_rows(chg_sets(fashion), seeds)}


def subsets_part(fashion: Path | None, seeds: Sequence[int]) -> dict[str, Any]:
    """Return how heads do that were trained on chosen shares of the rows."""
    return {**_about(seeds), "training": vars(TRAINING), "rows": subset_rows(subset_sets(fashion), seeds)}


def _about(seeds: Sequence[int]) -> dict[str, Any]:
    """Return when and on what it is made, with which versions and seeds."""
    about = result("reproductions", "", "", [], {})
    return {**{name: about[name] for name in ("date", "machine", "versions")}, "seeds": [*seeds]}


def main() -> None:
    """Read the words of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reproductions", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the article's sets (.npz), published.json too")
    parser.add_argument("--fashion", type=Path, help="usr/share/datasets/fashion-mnist of Debian's package")
    parser.add_argument("--wordnet", type=Path, help="usr/share/wordnet of Debian's package")
    parser.add_argument("--wordllama", type=Path, help="folder of the Python package wordllama")
    parser.add_argument("--article-seeds", type=int, default=3, help="how many, from 999")
    parser.add_argument("--public-seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--only", choices=PARTS, help="make one part, and keep the others as they are in the file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file for the result as JSON")
    parser.add_argument("--page", type=Path, default=PAGE, help="file for the page")
    given = parser.parse_args()
    found = json.loads(given.out.read_text(encoding="utf-8")) if given.only and given.out.exists() else {}
    if given.only in (None, "seed"):
        found = {"seed": seed_part(range(5)), **{name: part for name, part in found.items() if name != "seed"}}
    if given.only in (None, "article"):
        found["article"] = article_part(given.folder, range(999, 999 + given.article_seeds))
    if given.only in (None, "public"):
        sets = public_sets(given.fashion, given.wordnet, given.wordllama)
        found["public"] = public_part(sets, range(given.public_seeds))
    if given.only in (None, "chg"):
        found["chg"] = chg_part(given.fashion, range(given.public_seeds))
    if given.only in (None, "subsets"):
        found["subsets"] = subsets_part(given.fashion, range(given.public_seeds))
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    given.page.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()

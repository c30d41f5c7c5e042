"""The command: makes everything again, keeps it as JSON, and writes the page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tests.bench.frame import result
from tests.bench.reproductions.article import article_cells, compared
from tests.bench.reproductions.data import paper_sets, public_sets
from tests.bench.reproductions.figures import figure_rows
from tests.bench.reproductions.page import RESULTS, page

PAGE = Path(__file__).parents[3] / "docs" / "reproductions.md"


def made(
    folder: Path | None,
    fashion: Path | None = None,
    wordnet: Path | None = None,
    wordllama: Path | None = None,
    *,
    n_article: int = 3,
    n_public: int = 3,
    tiny: bool = False,
) -> dict[str, Any]:
    """Return everything as plain data; ``tiny``: one small set and one cell a table."""
    article, public = list(range(999, 999 + n_article)), list(range(n_public))
    sets = [] if folder is None else list(paper_sets(folder))
    cells = article_cells(sets[:1] if tiny else sets, article, tiny=tiny)
    shown = public_sets(fashion, wordnet, wordllama)
    sizes = (60, 30) if tiny else (500, 200)
    figures = figure_rows([next(shown)] if tiny else shown, public, *sizes)
    about = result("reproductions", "", "", [], {})
    kept = {name: about[name] for name in ("date", "machine", "versions")}
    found = compared(cells, None if folder is None else folder / "published.json")
    seeds = {"article": article, "public": public}
    return {**kept, "seeds": seeds, "article": cells, "compared": found, "figures": figures}


def main() -> None:
    """Read the words of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reproductions", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the article's sets (.npz), published.json too")
    parser.add_argument("--fashion", type=Path, help="usr/share/datasets/fashion-mnist of Debian's package")
    parser.add_argument("--wordnet", type=Path, help="usr/share/wordnet of Debian's package")
    parser.add_argument("--wordllama", type=Path, help="folder of the Python package wordllama")
    parser.add_argument("--article-seeds", type=int, default=3, help="how many, from 999")
    parser.add_argument("--public-seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file for the result as JSON")
    parser.add_argument("--page", type=Path, default=PAGE, help="file for the page")
    given = parser.parse_args()
    seeds = {"n_article": given.article_seeds, "n_public": given.public_seeds}
    found = made(given.folder, given.fashion, given.wordnet, given.wordllama, **seeds)
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    given.page.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()

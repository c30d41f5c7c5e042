"""docs/reproductions.md from tests/bench/reproductions/results.json: `python -m tests.bench.reproductions.page`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.performance_page import table
from tests.bench.reproductions.article import KS, TAUS, WITHIN
from tests.bench.reproductions.chg_page import chg_parts
from tests.bench.reproductions.seed_page import seed_parts

RESULTS = Path(__file__).parent / "results.json"
HEAD = """\
# Reproductions

Published tables and figures, made again. A command of this repository makes every figure on this page, but for those
called published.

    python -m tests.bench.reproductions FOLDER

`FOLDER` has the article's data sets, as .npz files with `X` and `y`; they are not ours to pass on. Without it the
command makes the public part alone: the digits of scikit-learn and 2dplanes as generated; with `--fashion`, `--wordnet`
and `--wordllama` also images of Debian's package dataset-fashion-mnist, and glosses of Debian's wordnet-base embedded
by the token table of PyPI's wordllama. Protocols and measures: [evaluating](evaluating.md).
"""
ARTICLE = f"""\
## The threshold article

Wang et al., *Threshold KNN-Shapley*, NeurIPS 2023, [arXiv:2308.15709](https://arxiv.org/abs/2308.15709), by the
protocol `threshold-knn-2023`: 2,000 training rows, 200 validation rows, every tenth row spoiled; KNN by Euclidean
distance, threshold by cosine. The article's distance is the negative cosine, so its tau -0.5 is `radius=0.5`. Tables 13
and 14 are printed with reversed columns: where the article says K, read 16 - K, as is done here. Cells are means over
seeds; behind them, in parentheses, stands the standard deviation of one trial.

**What is compared, and what is not.**

- A cell counts as reproduced if both are within {WITHIN}.
- The order in which the article's program draws is not documented. So our trials have other rows than the article's one
  trial, and differ from it as trials differ from each other: by about the standard deviation, which is larger than
  {WITHIN} nearly everywhere.
- A list of published cells (`published.json` in FOLDER: table, set, column, value) is compared cell by cell. Without
  one five cells are known: two from the page of the article's program, and three of the attack at K = 1, where the
  sizes of the article's private sets are not known.
- Private cells are by this package's noise (one release, analytic Gaussian mechanism, no sampling), which is not the
  article's: its program samples a hundredth of the rows and charges a row only for points that it is near.
- The columns of tables 11 to 14 follow from how many cells these tables have: nine of tau, fifteen of K. Of tables 1,
  2, 4 to 6, 8 and 9 this page has what is known of their subject, the private values and the attack, not their layout.
"""
TITLES = {
    "11": ("Table 11: wrong labels, AUROC of threshold KNN-Shapley by tau", [f"tau {tau}" for tau in TAUS]),
    "12": ("Table 12: noisy features, AUROC of threshold KNN-Shapley by tau", [f"tau {tau}" for tau in TAUS]),
    "13": ("Table 13: wrong labels, AUROC of KNN-Shapley by K", [f"K {k}" for k in KS]),
    "14": ("Table 14: noisy features, AUROC of KNN-Shapley by K", [f"K {k}" for k in KS]),
    "private, labels": ("Private values: wrong labels, AUROC of threshold KNN-Shapley, tau -0.5, delta 1e-4", []),
    "private, features": ("Private values: noisy features, the same", []),
    "membership": ("Membership attack: AUROC, 200 private rows, 100 members and 100 others, 200 points", []),
}
OF_TABLE_10 = (("K 11", "13", "KNN, wrong labels"), ("tau -0.5", "11", "threshold, wrong labels"))
OF_TABLE_10 += (("K 11", "14", "KNN, noisy features"), ("tau -0.5", "12", "threshold, noisy features"))
FIGURES = {
    "wrong labels": "A tenth of the training labels are wrong: AUROC of finding them (protocol `plain`).",
    "half of the rows noisy": "Half of the training rows have noise in each feature, in standard deviations of its "
    "column.",
    "adversarial rows": """\
Half of the training rows are led astray in a softmax head fitted to all of them, by one fast gradient sign step (a
quarter of a standard deviation a feature) or by iterative L2 steps, and so is a share of the validation rows. AUROC of
finding these training rows by low values: above 0.5 they look worse than others, below 0.5 better.""",
}


SUBSETS = """\
## Rows chosen during training

Cai, *CHG Shapley*, 2024, [arXiv:2406.11730](https://arxiv.org/abs/2406.11730), algorithm 2, beside training on all rows
(`full`), on drawn rows (`random`, `adaptive_random`), on rows by the games of losses or of gradients alone, on rows by
GLISTER and by GRAD-MATCH. `python -m tests.bench.reproductions --only subsets --fashion FOLDER` makes this part by
`dvspark.subsets`.

The article trains deep networks from pixels, for more epochs; here a softmax head trains on frozen embeddings, all
training rows of the demo's packages (57 sections), and on pixels, training images of Fashion-MNIST. So orders of
criteria may be compared with the article's, figures may not. Cells are accuracies on rows that nothing was chosen by,
means over seeds, in parentheses their standard deviation; for `full` the same head stands under each share. The last
columns are seconds of one core for training and choices, medians, of a machine that did other work too. `glister` alone
knows validation rows, whose labels are right.
"""


def page(result: dict[str, Any]) -> str:
    """Return the page: the tables of both articles, then the public part."""
    parts = [HEAD]
    if "seed" in result:
        parts += seed_parts(result["seed"], _made(result["seed"]))
    if "article" in result and (cells := result["article"]["cells"]):
        parts += [ARTICLE, _made(result["article"])]
        parts += ["### Cells that are published\n", table(result["article"]["compared"])]
        parts += ["### Table 10: without privacy\n", table(_table_10(cells))]
        for name, (title, columns) in TITLES.items():
            own = [cell for cell in cells if cell["table"] == name]
            parts += [
                f"### {title}\n",
                table(_across(own, columns or [*dict.fromkeys(cell["column"] for cell in own)])),
            ]
    if "public" in result:
        parts += ["## The public part\n", _made(result["public"])]
        for title, rows in result["public"]["figures"].items():
            parts += [f"### {title.capitalize()}\n", FIGURES[title] + "\n", table(_wide(rows))]
    if "chg" in result:
        parts += chg_parts(result["chg"], _made(result["chg"]))
    if "subsets" in result:
        parts += _of_subsets(result["subsets"])
    return "\n".join(parts)


def _of_subsets(part: dict[str, Any]) -> list[str]:
    """Return the tables of heads trained on shares of the rows: accuracy by criterion and share, and seconds."""
    about = part["training"]
    steps = (
        f"{about['epochs']} epochs, rows chosen anew every {about['every']}, steps by {about['batch_rows']} rows of "
    )
    steps += f"size {about['learning_rate']:g}, falling to 0.\n"
    parts = [SUBSETS, _made(part), steps]
    for name, flips in dict.fromkeys((row["set"], row["wrong labels"]) for row in part["rows"]):
        own = [row for row in part["rows"] if (row["set"], row["wrong labels"]) == (name, flips)]
        title = f"### {name}, {own[0]['train rows']:,} rows, {100 * flips:.0f} % wrong labels\n"
        parts += [title, table(_by_share(own))]
    return parts


def _by_share(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a criterion: accuracy with its standard deviation for each share, then seconds at the 30 %."""
    found: dict[str, dict[str, Any]] = {}
    shares = [*dict.fromkeys(row["share"] for row in rows if row["share"] < 1)]
    for row in rows:
        told = found.setdefault(row["criterion"], {"criterion": row["criterion"]})
        cell = _cell({"mean": row["accuracy"], "sd": row["accuracy sd"]})
        told |= {f"{100 * share:.0f} %": cell for share in (shares if row["share"] == 1 else [row["share"]])}
    for share in (0.1, 0.5):
        for row in rows:
            if row["share"] in (share, 1):
                found[row["criterion"]][f"s, {100 * share:.0f} %"] = f"{row['seconds']:.2f}"
    return [*found.values()]


def _made(part: dict[str, Any]) -> str:
    machine, versions = part["machine"], part["versions"]
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    seeds = f"seeds {', '.join(map(str, part['seeds']))}"
    return f"{part['date']}; {machine['processor']}, {machine['cores']} cores; {used}; {seeds}.\n"


def _across(cells: list[dict[str, Any]], columns: list[str]) -> list[dict[str, Any]]:
    """Return a row a set, with its cells as text in the order of the columns."""
    found = {(cell["set"], cell["column"]): cell for cell in cells}
    sets = [*dict.fromkeys(cell["set"] for cell in cells)]
    shown = [column for column in columns if any((name, column) in found for name in sets)]
    return [{"set": name, **{column: _cell(found[name, column]) for column in shown}} for name in sets]


def _table_10(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return KNN with K = 11 beside the threshold with tau -0.5."""
    found = {(cell["table"], cell["set"], cell["column"]): cell for cell in cells}
    sets = [*dict.fromkeys(cell["set"] for cell in cells)]
    return [
        {"set": name}
        | {title: _cell(found[of, name, column]) for column, of, title in OF_TABLE_10 if (of, name, column) in found}
        for name in sets
    ]


def _wide(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a set, attack and method, with AUROC and its standard deviation for each noise or share, if any."""
    sizes = [name for name in ("noise", "adversarial points") if name in rows[0]]
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        about: dict[str, Any] = {name: row[name] for name in ("set", "attack", "method") if name in row}
        told = found.setdefault(tuple(about.values()), about)
        column = f"{sizes[0]} {row[sizes[0]]:g}" if sizes else "AUROC"
        told[column] = _cell({"mean": row["auroc"], "sd": row["sd"]})
        if not sizes:
            told["precision"] = f"{row['precision']:.3f}"
    return [*found.values()]


def _cell(cell: dict[str, Any]) -> str:
    return f"{cell['mean']:.3f} ({cell['sd']:.3f})"


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(RESULTS.read_text(encoding="utf-8"))))

"""The figure of an evaluation: its curves, and for a comparison the measures of each method, as SVG or PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from dvspark.errors import ConfigError
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.extras import import_extra

PANEL_INCHES = 4.2, 3.2
# A panel is legible with so many curves.
MOST_CURVES = 14
# Of bars, the columns of a summary that are measures, and where chance stands in them.
MEASURES = {"auroc": 0.5, "precision": None, "logistic without low": 0.0, "k-nn without low": 0.0, "halves": None}


def figure_bytes(evaluation: Evaluation, kind: str = "svg") -> bytes | None:
    """Return the drawing, the same bytes for the same evaluation; None where nothing is to be drawn.

    Raises: ConfigError where matplotlib is not installed.
    """
    panels = _curves(evaluation) + _bars(evaluation)
    if not panels:
        return None
    matplotlib, backend, drawing = (_drawing(name) for name in ("", ".backends.backend_agg", ".figure"))
    settings = {"svg.hashsalt": "dvspark", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        across = min(len(panels), 3)
        down = -(-len(panels) // across)
        figure = drawing.Figure((PANEL_INCHES[0] * across, PANEL_INCHES[1] * down), layout="constrained")
        backend.FigureCanvasAgg(figure)
        places = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (title, draw) in zip(places, panels, strict=False):
            draw(axes)
            axes.set_title(title)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        out = io.BytesIO()
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None, dpi=120)
    return out.getvalue()


def figure_if_possible(evaluation: Evaluation) -> tuple[dict[str, bytes], str | None]:
    """Return the figure as a file by name, and what to say where matplotlib is not there."""
    try:
        drawn = figure_bytes(evaluation)
    except ConfigError as error:
        return {}, f"no figure: {error.problems[0].hint}"
    return ({} if drawn is None else {"figure.svg": drawn}), None


def _curves(evaluation: Evaluation) -> list[tuple[str, Any]]:
    """Return a panel for each table of curves; where there are several models or actions, one for each."""
    panels = list[tuple[str, Any]]()
    for table, (x, y, apart) in evaluation.axes.items():
        rows = evaluation.tables[table]
        outer = [name for name in apart if name in ("action", "model")]
        inner = [name for name in apart if name not in outer]
        for group in dict.fromkeys(tuple(row[name] for name in outer) for row in rows):
            own = [row for row in rows if tuple(row[name] for name in outer) == group]
            panels.append((", ".join(group) or table.replace("_", " "), _line_drawer(own, x, y, inner)))
    return panels


def _line_drawer(rows: list[Row], x: str, y: str, apart: Sequence[str]) -> Any:
    def draw(axes: Any) -> None:
        for name in [*dict.fromkeys(tuple(str(row[part]) for part in apart) for row in rows)][:MOST_CURVES]:
            own = [row for row in rows if tuple(str(row[part]) for part in apart) == name]
            places = [row[x] for row in own]
            style = {"linestyle": "--", "color": "gray"} if name[0] in ("random", "ideal") else {}
            label = ", ".join(dict.fromkeys(name))
            axes.plot(places, [row[y] for row in own], label=label, linewidth=1.2, **style)
            low, high = ("lowest", "highest") if y == "mean" else (f"{y} lowest", f"{y} highest")
            if low in own[0] and not style:
                axes.fill_between(places, [row[low] for row in own], [row[high] for row in own], alpha=0.15)
        axes.set_xlabel(x)
        axes.set_ylabel("found" if y == "mean" else y)
        axes.legend(fontsize=6, frameon=False)

    return draw


def _bars(evaluation: Evaluation) -> list[tuple[str, Any]]:
    """Return a panel for each measure of a comparison."""
    rows = evaluation.tables.get("comparison", [])
    told = [name for name in MEASURES if any(row.get(name) is not None for row in rows)]
    return [(name, _bar_drawer([row for row in rows if row.get(name) is not None], name)) for name in told]


def _bar_drawer(rows: list[Row], measure: str) -> Any:
    def draw(axes: Any) -> None:
        names = [row["method"] for row in rows][::-1]
        axes.barh(names, [row[measure] for row in rows][::-1], height=0.6)
        if MEASURES[measure] is not None:
            axes.axvline(MEASURES[measure], color="gray", linewidth=0.8)
        axes.tick_params(axis="y", labelsize=6)

    return draw


def _drawing(part: str) -> Any:
    """Return a module of matplotlib, which a host may lack that has only the zip."""
    where = ("figure", "the package matplotlib", "it is not installed")
    return import_extra(f"matplotlib{part}", "", *where, packages="matplotlib")

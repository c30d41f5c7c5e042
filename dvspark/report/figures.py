"""The two drawings of a report, as SVG text that takes its colors and its font from the page."""

from __future__ import annotations

import io
import itertools
import math
import re
from typing import TYPE_CHECKING, Any

from dvspark.report.packages import report_module
from dvspark.report.scale import Scale

if TYPE_CHECKING:
    from dvspark.report.distribution import Curve, Histogram

# Two figures side by side at 1280 px enlarge this a little; at 420 px its labels are still legible.
WIDTH_INCHES, HEIGHT_INCHES = 5.6, 3.4
FONT_POINTS = 11.5

# Matplotlib knows no CSS variables, so it draws in colors that nothing else uses, and they are exchanged
# afterwards: one drawing is then legible in light, dark and print.
INK, MUTED, GRID, POSITIVE, NEGATIVE = (f"#0a0b{number:02x}" for number in range(1, 6))
CSS_COLORS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    POSITIVE: "var(--positive)",
    NEGATIVE: "var(--negative)",
}

STYLE = {
    "svg.fonttype": "none",
    "font.size": FONT_POINTS,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "axes.unicode_minus": True,
}


def histogram_svg(shape: Histogram, scale: Scale) -> str:
    """Return the histogram as SVG: bars left of zero in one color, the others in another.

    Raises: ConfigError if matplotlib is not installed.
    """
    edges = [scale.multiple(edge) for edge in shape.edges]
    widths = [right - left for left, right in itertools.pairwise(edges)]
    # The middle of a bin decides, because an edge at zero may be off by a rounding error.
    colors = [NEGATIVE if left + right < 0 else POSITIVE for left, right in itertools.pairwise(edges)]

    def draw(axes: Any) -> None:
        axes.bar(edges[:-1], shape.counts, [0.92 * width for width in widths], align="edge", color=colors)
        if edges[0] < 0 < edges[-1]:
            axes.axvline(0, color=INK, linewidth=1)
        axes.set_xlabel(_value_title(scale))
        axes.set_ylabel("rows")
        axes.yaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=6)
        # More of them, such as -0.0025, touch where a narrow page has larger letters.
        axes.xaxis.get_major_locator().set_params(nbins=5)

    return _svg(draw, "histogram", "Histogram of the values")


def curve_svg(shape: Curve, scale: Scale) -> str:
    """Return the values from the highest to the lowest as SVG, with the line at zero.

    Raises: ConfigError if matplotlib is not installed.
    """
    values = [scale.multiple(value) for value in shape.values]

    def draw(axes: Any) -> None:
        for color, keep in ((POSITIVE, max), (NEGATIVE, min)):
            axes.fill_between(shape.positions, [keep(value, 0.0) for value in values], color=color, alpha=0.25, lw=0)
        # A line through a single point has no length.
        marker = "o" if len(values) == 1 else ""
        for color, side in ((POSITIVE, 1), (NEGATIVE, -1)):
            half = [value if side * value >= 0 else math.nan for value in values]
            axes.plot(shape.positions, half, color=color, linewidth=2, marker=marker)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xlabel("rows, most valuable first")
        axes.set_ylabel(_value_title(scale))
        axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.margins(x=0.01)

    return _svg(draw, "curve", "Values from the highest to the lowest")


def _svg(draw: Any, salt: str, title: str) -> str:
    matplotlib = report_module("matplotlib")
    figure_class = report_module("matplotlib.figure").Figure
    with matplotlib.rc_context():
        # The user's own style file must not change the report.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": f"dvspark-{salt}"})
        figure = figure_class(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_the_page(text.getvalue(), title)


def _for_the_page(svg: str, title: str) -> str:
    view = re.search(r'viewBox="([^"]*)"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # This style element is meant for the drawing but would reach the whole page.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    # Both figures have a "figure_1" that nothing points to; the ids of marks and clips are salted hashes.
    used = set(re.findall(r'"(?:url\()?#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in used else "", body)
    # Matplotlib writes either the shorthand or the single properties, by its version.
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = body.replace("xlink:href", "href")
    for color, variable in CSS_COLORS.items():
        body = body.replace(color, variable)
    head = f'<svg viewBox="{view.group(1) if view else ""}" role="img" aria-label="{title}">'
    return head + re.sub(r"\n\s*", "\n", body).strip()


def _value_title(scale: Scale) -> str:
    return f"value, {scale.unit}" if scale.unit else "value"

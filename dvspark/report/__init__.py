"""The report: a summary of a run's values, and one HTML file that shows it.

    values, run record, findings, neighbors ──summarize──▶ Summary ──render_html──▶ one HTML text

``summarize`` is pure: PyArrow and NumPy, no Spark, files or clock. It costs one pass over the values and one sort of
the ranks. ``render_html`` draws the figures and fills the template. The page stands alone: it loads
nothing and runs no script but its own, and the same summary gives the same bytes.

    browse         the rows to search, sort and decide on, suspects first
    class_names    the classes of these rows, each with a name of its own
    shown          what a person recognizes a row by: a text, a link, a picture
    lowest         the lowest rows as lines for a terminal
    decisions      what a review decided, in counts; sets of copies
    against        another run: what rose, fell, appeared
    distribution   histogram and sorted curve, as a few hundred numbers
    classes        one line for each class
    tasks          one line for each task of the validation rows
    rows           the lowest and highest rows with their nearest validation points
    card           the run record as lines to read
    scale          the one unit of all values
    text           other numbers and foreign text, made fit to be shown
    figures        the two drawings
    summary, render   the two calls above

Rows are listed in the order of ``rank``, so ties fall as in the values table. Jinja2 and Matplotlib are imported when
something is rendered.
"""

from __future__ import annotations

from dvspark.report.packages import require_packages
from dvspark.report.render import render_html
from dvspark.report.summary import Summary, summarize

__all__ = ["Summary", "render_html", "require_packages", "summarize"]

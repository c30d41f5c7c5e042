"""Notebooks, run in a kernel of this interpreter, and what the kernel showed on the way."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
from nbclient import NotebookClient

# Tests run beside others: threads of small products would wait for each other.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class WatchedClient(NotebookClient):
    """Runs a notebook and keeps the text of all that was displayed, each change of an output included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.displayed: list[str] = []

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.displayed.append(msg["content"]["data"].get("text/plain", ""))
        return super().process_message(msg, cell, cell_index)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_notebook(notebook: nbformat.NotebookNode, folder: Path) -> list[str]:
    """Run all cells in ``folder``, and return what was displayed. Raises: CellExecutionError with the cell's trace."""
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({**spec, "display_name": "Python 3", "language": "python"}))
    client = WatchedClient(notebook, kernel_name="python3", timeout=240, resources={"metadata": {"path": str(folder)}})
    # The kernel `python3` is then this interpreter's, whatever kernels the machine has.
    with mock.patch.dict(os.environ, ENVIRONMENT | {"JUPYTER_PATH": str(folder)}):
        client.execute()
    assert all(cell.execution_count is not None for cell in code_cells(notebook))
    return client.displayed


def run_cells(sources: list[str], folder: Path) -> tuple[nbformat.NotebookNode, list[str]]:
    """Run cells of these sources, and return the notebook that they make and what was displayed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    return notebook, run_notebook(notebook, folder)

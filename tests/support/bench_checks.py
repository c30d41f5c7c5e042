"""What the result of every benchmark must be, however small it ran."""

from __future__ import annotations

import json
from typing import Any

from tests.bench import performance_page


def check_result(result: dict[str, Any], script: Any) -> None:
    """Check what the page needs of a result, which comes back from JSON as it went in."""
    assert json.loads(json.dumps(result)) == result
    assert result["question"] == script.QUESTION
    assert result["versions"]["dvspark"]
    assert result["machine"]["cores"] >= 1
    assert result["tables"]
    for title, rows in result["tables"].items():
        assert rows, title
        assert all(list(row) == list(rows[0]) for row in rows), title
    assert f"## {script.QUESTION}\n" in performance_page.page([result])

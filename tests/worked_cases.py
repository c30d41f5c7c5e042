"""The worked cases of tests/vectors, read into the arguments of a value call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
METHOD_OF_VECTOR = {
    "knn_shapley_2019": ("knn_shapley", False),
    "knn_shapley_2019_self_validation": ("knn_shapley", True),
    "knn_shapley_2023": ("soft_knn_shapley", False),
}


@dataclass(frozen=True)
class WorkedCase:
    """One worked case: the data, the options of the call, and the values it must return."""

    name: str
    data: tuple[Any, ...]
    options: dict[str, Any]
    values: list[Fraction]
    point_values: list[list[float]]
    total: float | None


def worked_cases() -> list[WorkedCase]:
    """Return all cases of the methods named above, in file order."""
    cases = []
    for path in sorted(VECTORS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["method"] not in METHOD_OF_VECTOR:
            continue
        method, self_validation = METHOD_OF_VECTOR[content["method"]]
        train, validation = content["inputs"]["train"], content["inputs"].get("val")
        data: tuple[Any, ...] = ([row["x"] for row in train], [row["y"] for row in train])
        if not self_validation:
            data += ([row["x"] for row in validation], [row["y"] for row in validation])
        options = {
            "method": method,
            "k": content["params"]["K"],
            "train_ids": [row["id"] for row in train],
            "self_validation": self_validation,
        }
        if method == "soft_knn_shapley":
            options["n_classes"] = content["params"]["C"]
        expected = content["expected"]
        # The expected values follow "players", which need not be the order of the rows.
        value_of = dict(zip(expected["players"], expected["value_exact"], strict=True))
        column_of = {player: j for j, player in enumerate(expected["players"])}
        ids = options["train_ids"]
        cases.append(
            WorkedCase(
                name=content["id"],
                data=data,
                options=options,
                values=[Fraction(value_of[i]) for i in ids],
                point_values=[[row[column_of[i]] for i in ids] for row in expected["per_validation_point"]],
                total=expected.get("sum_of_values"),
            )
        )
    return cases

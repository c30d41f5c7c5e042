"""The worked cases of tests/vectors, read into the arguments of a value call."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

VECTORS = Path(__file__).parents[1] / "vectors"

# Of each kind of vector: the method, and the options that are not among the vector's own parameters.
METHOD_OF_VECTOR: dict[str, tuple[str, dict[str, Any]]] = {
    "knn_shapley_2019": ("knn_shapley", {}),
    "knn_shapley_2019_self_validation": ("knn_shapley", {"self_validation": True}),
    "knn_shapley_2019_truncated": ("truncated_knn_shapley", {}),
    "knn_shapley_2023": ("soft_knn_shapley", {}),
    "knn_regression_shapley_2019": ("knn_regression_shapley", {}),
    "knn_banzhaf_2019": ("knn_banzhaf", {"utility": "jia2019"}),
    "knn_banzhaf_2023": ("knn_banzhaf", {"utility": "wang2023"}),
    "knn_beta_2019": ("knn_beta", {"utility": "jia2019"}),
    "knn_beta_2023": ("knn_beta", {"utility": "wang2023"}),
    "knn_loo_2019": ("knn_loo", {"utility": "jia2019"}),
    "knn_loo_2023": ("knn_loo", {"utility": "wang2023"}),
    "tknn_shapley": ("threshold_knn_shapley", {}),
    "tknn_banzhaf": ("threshold_knn_banzhaf", {}),
    "tknn_beta": ("threshold_knn_beta", {}),
    "wknn_raw_fixed_weights": ("weighted_knn_shapley", {"kind": "raw"}),
    "wknn_soft_normalised": ("weighted_knn_shapley", {"kind": "normalized"}),
    "wknn_hard_quantised": ("weighted_knn_shapley", {"kind": "hard", "bits": 3}),
    "owner_knn_shapley_2019": ("owner_knn_shapley", {}),
    "knn_acquisition_shapley": ("knn_acquisition_shapley", {}),
    "cleanlab_2_9_0_scores": ("cleanlab_knn_shapley", {"self_validation": True}),
}
# What the vectors call the parameters.
PARAMETER_OF_VECTOR = {
    "K": "k",
    "k": "k",
    "C": "n_classes",
    "tau": "radius",
    "K_star": "k_star",
    "U_empty": "empty_utility",
    "alpha": "alpha",
    "beta": "beta",
    "metric": "metric",
}


@dataclass(frozen=True)
class WorkedCase:
    """One worked case: the data, the options of the call, and the values it must return, by row or by owner."""

    name: str
    data: tuple[Any, ...]
    options: dict[str, Any]
    values: list[Fraction]
    point_values: list[list[float]]
    total: float | None

    @property
    def is_for_tables(self) -> bool:
        """Whether tables can hold its data: weights there are of training rows, not of pairs."""
        return "weights" not in self.options

    def points_alone(self) -> list[WorkedCase]:
        """Return the case of each validation point alone, its weights being those of training rows."""
        x_train, y_train, x, y = self.data
        options = {name: option for name, option in self.options.items() if name != "weights"}
        return [
            replace(
                self,
                data=(x_train, y_train, x[point : point + 1], y[point : point + 1]),
                options={**options, "weight": "given", "column": weights},
            )
            for point, weights in enumerate(self.options["weights"])
        ]


def worked_cases() -> list[WorkedCase]:
    """Return all cases of the methods named above, in file order."""
    contents = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json")))
    return [_case(content) for content in contents if content.get("method") in METHOD_OF_VECTOR]


def _case(content: dict[str, Any]) -> WorkedCase:
    method, fixed = METHOD_OF_VECTOR[content["method"]]
    inputs, expected = content["inputs"], content["expected"]
    train, validation = inputs["train"], inputs.get("val")
    given = {PARAMETER_OF_VECTOR[name]: value for name, value in content["params"].items()}
    options = {"method": method, "self_validation": False, **given, **fixed}
    options["train_ids"] = ids = [row["id"] for row in train]
    if method.startswith("owner"):
        options["owners"] = [row["owner"] for row in train]
        ids = sorted(set(options["owners"]))
    if "owned" in inputs:
        n_features, owned = len(train[0]["x"]), inputs["owned"]
        options["x_owned"] = np.array([row["x"] for row in owned], np.float64).reshape(len(owned), n_features)
        options |= {"y_owned": [row["y"] for row in owned], "owned_ids": [row["id"] for row in owned]}
    if "weights_per_val_in_train_order" in inputs:
        options["weights"] = inputs["weights_per_val_in_train_order"]
    data: tuple[Any, ...] = ([row["x"] for row in train], [row["y"] for row in train])
    if not options["self_validation"]:
        data += ([row["x"] for row in validation], [row["y"] for row in validation])
    # The expected values follow "players", which need not be the order of the rows.
    value_of = dict(zip(expected["players"], expected["value_exact"], strict=True))
    column_of = {player: j for j, player in enumerate(expected["players"])}
    return WorkedCase(
        name=content["id"],
        data=data,
        options=options,
        values=[Fraction(value_of[i]) for i in ids],
        point_values=[[row[column_of[i]] for i in ids] for row in expected["per_validation_point"]],
        total=expected.get("sum_of_values"),
    )

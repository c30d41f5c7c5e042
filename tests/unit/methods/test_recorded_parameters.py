"""What a run records of its parameters, and the fingerprint they give it: bytes that are the same in any version."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.logs import Stages
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.run import validate
from dvspark.run.request import RowRules
from dvspark.run.validate import Checked, validate_tables

N_CLASSES = 3

# What is given of each method's parameters; what is left out has its default.
GIVEN: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in METHODS if METHODS[name].in_jobs},
    "dp_threshold_knn_shapley": ("dp_threshold_knn_shapley", {"epsilon": 1, "delta": 1e-6}),
    "truncated_knn_shapley": ("truncated_knn_shapley", {"epsilon": 0.01}),
    "hard": ("weighted_knn_shapley", {"k": 3, "kind": "hard", "bits": 2, "n_nearest": 7, "empty_utility": 1}),
    "by distance": ("weighted_knn_shapley", {"weight": "rbf", "gamma": 2}),
    "a number for U(∅)": ("knn_regression_shapley", {"k": 2, "empty_utility": -1}),
    "rows": ("truncated_knn_shapley", {"k": 4, "k_star": 50, "tail": "bound"}),
    "classes": ("soft_knn_shapley", {"k": None, "n_classes": 9}),
    "a radius": ("threshold_knn_beta", {"radius": 2, "alpha": 4, "beta": 0.5}),
    "a sample": ("dp_threshold_knn_shapley", {"epsilon": 1.0, "delta": 1e-6, "sampling_rate": 0.5}),
    "owners": (
        "dp_threshold_knn_shapley",
        {"radius": 0.5, "epsilon": 2.0, "delta": 1e-5, "unit": "owner", "rows_per_owner": 3},
    ),
}


# The parameters, and the fingerprint of a run with them.
RECORDED: dict[str, tuple[str, str]] = {
    "knn_shapley": (
        '{"k": 10}',
        "c991187b304bdb7decc9ae3396296728e4d6633f90242ea1f9021b537af50a12",
    ),
    "soft_knn_shapley": (
        '{"k": 10, "n_classes": 3}',
        "63cc9b82aedfd446dba51b7793279ca5cb05ca581e899aa0fb448cf359d596f4",
    ),
    "knn_regression_shapley": (
        '{"k": 10, "empty_utility": "formula"}',
        "a2a09effbaf16c35623c9a28ffd008fc2e77686a4fee5bfe970690ee224be964",
    ),
    "weighted_knn_shapley": (
        '{"k": 10, "kind": "raw", "weight": "given", "gamma": 1.0, "bits": 3, "empty_utility": 0.0, "n_nearest": null}',
        "978fbf20c69e93f72dfdedc9909f03f78afe480e093936e0dbc1168af781dc9f",
    ),
    "knn_acquisition_shapley": (
        '{"k": 10}',
        "e2959e3caa842233a95eaf83c2803b1ca9056feac9fe398da9fc18d9130aeb62",
    ),
    "knn_banzhaf": (
        '{"k": 10, "utility": "jia2019", "n_classes": 3}',
        "335c34bdd32b14faff666ac7928970b9d6666aa1f30e1e2a4aa3e0936dff0085",
    ),
    "knn_beta": (
        '{"k": 10, "utility": "jia2019", "n_classes": 3, "alpha": 16.0, "beta": 1.0}',
        "a337d531788a994cba844b110c9d5d68fab15ece7d485d239a94f7471d2d80fc",
    ),
    "threshold_knn_shapley": (
        '{"radius": "auto", "n_classes": 3}',
        "c5e689b0bcdcdca172eabaaf1dbe9fd64a865644b8f4cf700077b9069a0747aa",
    ),
    "threshold_knn_banzhaf": (
        '{"radius": "auto", "n_classes": 3}',
        "6d703f28415b1775598e059ce1f1e861346252156a779fcc6bafa29210e8c243",
    ),
    "threshold_knn_beta": (
        '{"radius": "auto", "n_classes": 3, "alpha": 16.0, "beta": 1.0}',
        "6fc5af4c59e789d03fe2b4ad9e12381558f5cfa3cd799349a3b37b8eb6551521",
    ),
    "threshold_knn_loo": (
        '{"radius": "auto", "n_classes": 3}',
        "b42a34e5f82492fd30c971a89a6bdebfe6dbe9bfc86ef9bcbc27f85b447f9dc7",
    ),
    "knn_loo": (
        '{"k": 10, "utility": "jia2019", "n_classes": 3}',
        "d6d04eddd19ff1de94a0311b632284ec92637912646d98dd2eec4d19141872da",
    ),
    "truncated_knn_shapley": (
        '{"k": 10, "epsilon": 0.01, "k_star": null, "tail": "zero", "index": "exact"}',
        "106b99f8163408ada8d604108873e143da879ea05a2662b732ff8497bdef1c4a",
    ),
    "cleanlab_knn_shapley": (
        '{"k": 10}',
        "937eb135be1c0683e4d9c00404f4c5f35a0764cb837f6bed341aa9c91b4444bf",
    ),
    "dp_threshold_knn_shapley": (
        (
            '{"radius": "auto", "n_classes": 3, "epsilon": 1.0, "delta": 1e-06, "adjacency": "add_remove", '
            '"sampling_rate": 1.0, "unit": "row", "rows_per_owner": 1}'
        ),
        "5d1059927c6467412b415f73ccc803e19dc4ff89159081c90ecfb918375109d4",
    ),
    "owner_knn_shapley": (
        '{"k": 10}',
        "be72fed3ccc8b8e00cf9db2d7e31caaea90f8ee653cdd97e8d500dbfb4d1515b",
    ),
    "owner_sum_of_points": (
        '{"k": 10}',
        "43d976c2884b8dce2d2c8f3bcde24398cd9f737c874fd4605cbf8fb5ffc2d6de",
    ),
    "influence": (
        '{"penalty": 0.001}',
        "930bf90e3de03f029b0b7eedd79be190b5b13c0c00afed414ac66183da38709a",
    ),
    "lava": (
        '{"label_weight": 1.0}',
        "8046021700158155600abe67dff507c7daf0e08ec0b9ef4083b73aa5cb982c82",
    ),
    "dvrl": (
        '{"steps": 1000, "batch_rows": 2000, "seed": 0}',
        "5e27104f4f1437803553c4856aacacdcfa68d03008c8baec8e8bb69c41d9605d",
    ),
    "chg_shapley": (
        (
            '{"variant": "chg", "by": "all", "epochs": null, "batch_rows": null, "learning_rate": 1.0, "seed": 0, '
            '"source": "head"}'
        ),
        "cb46f01bb1dd09c36fe36e83a15d4f2bc60d70f4fe8819963c87aadbf08caa06",
    ),
    "monte_carlo_shapley": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "sampling": "antithetic", "strata": 8, '
            '"truncation": null, "bound": "empirical_bernstein", "standard_error": null, "epsilon": null, '
            '"delta": 0.05, "utility_range": null}'
        ),
        "ec62cec7b6d1a7205b5062b38321241fae27924784a4fc9cec2ac5aa37711dac",
    ),
    "group_testing_shapley": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "standard_error": null, '
            '"epsilon": null, "delta": 0.05, "utility_range": null}'
        ),
        "27742af7c03434e48ddf965b40882d0a249738fc367d44ffc473c8533f1370a2",
    ),
    "monte_carlo_banzhaf": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "standard_error": null, '
            '"epsilon": null, "delta": 0.05, "utility_range": null}'
        ),
        "65f0ab5d3d8e3a6c981cc7a6024d03cc7e6baff34c83d72214e212cb109cb28d",
    ),
    "monte_carlo_beta": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "alpha": 16.0, "beta": 1.0, "sampling": '
            '"antithetic", "strata": 8, "truncation": null, "bound": "empirical_bernstein", "standard_error": '
            'null, "epsilon": null, "delta": 0.05, "utility_range": null}'
        ),
        "61866d67502b89e23af1fa4111c8caa5d906d3f7ce93041aaab0ddd5a75023ae",
    ),
    "leave_one_out": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3}'
        ),
        "0ca10ff3f3441ccc80a84befadfc1520cd62c9b0e592742f2ea125d5f34e2fd5",
    ),
    "data_oob": (
        (
            '{"utility": "model", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "standard_error": null, "epsilon": null, '
            '"delta": 0.05, "utility_range": null}'
        ),
        "7ce3ab22c3d420805462f9f197826694e8709325094bb95ac0e036b5458a435e",
    ),
    "ame": (
        (
            '{"utility": "knn", "players": "rows", "target": "label", "evaluations": 10000, "seed": 0, '
            '"cache_worths": false, "k": 10, "radius": null, "n_classes": 3, "fit": "mean", "penalty": null, '
            '"standard_error": null, "epsilon": null, "delta": 0.05, "utility_range": null}'
        ),
        "3b10d71d8b4c055decfd537d33310f5be31876c00a4ceeb6fd717ff05f8e104f",
    ),
    "hard": (
        '{"k": 3, "kind": "hard", "weight": "given", "gamma": 1.0, "bits": 2, "empty_utility": 1.0, "n_nearest": 7}',
        "e2c8a13a4ec998be98d8a9fa535a272c0c326edc452a6ab4e035b3ca888f9651",
    ),
    "by distance": (
        '{"k": 10, "kind": "raw", "weight": "rbf", "gamma": 2.0, "bits": 3, "empty_utility": 0.0, "n_nearest": null}',
        "7db9bcdf730928c3e02ac0234dcb4b7a8d462e1aa7f73dcd7133e77b81456932",
    ),
    "a number for U(∅)": (
        '{"k": 2, "empty_utility": -1.0}',
        "c53b23a74a7ef1403fb253e4d87736381c73456bf30c45353a7e6088568c8225",
    ),
    "rows": (
        '{"k": 4, "epsilon": null, "k_star": 50, "tail": "bound", "index": "exact"}',
        "14b710df639b0f2c620bc4c7d19edde720eefe7f7b1fa4de0ba6966717bc50d0",
    ),
    "classes": (
        '{"k": 10, "n_classes": 9}',
        "ba8d03e2cfe72e82d8ab5ebfa96d12988fc8c6ed748e45080c4466886b102139",
    ),
    "a radius": (
        '{"radius": 2.0, "n_classes": 3, "alpha": 4.0, "beta": 0.5}',
        "e31d7374d29c978f30061a545af44e4c9b4cc2ceb4fcf1fb90fb4cb5bef88e79",
    ),
    "a sample": (
        (
            '{"radius": "auto", "n_classes": 3, "epsilon": 1.0, "delta": 1e-06, "adjacency": "add_remove", '
            '"sampling_rate": 0.5, "unit": "row", "rows_per_owner": 1}'
        ),
        "631d49bafb50ed744d9a371d437a48e820a6ec09c8e15962dcb1c1bd1f742572",
    ),
    "owners": (
        (
            '{"radius": 0.5, "n_classes": 3, "epsilon": 2.0, "delta": 1e-05, "adjacency": "add_remove", '
            '"sampling_rate": 1.0, "unit": "owner", "rows_per_owner": 3}'
        ),
        "0da4df8f6f29075927145a67d95c44ec64c7d077f7f0987e5e9735f18d6974cd",
    ),
}


def checked_of(method: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Checked:
    """Return what validation settles of a run on tables that are not looked at."""
    rows, facts = SimpleNamespace(is_multi_label=False, types={}), {"n_rows": 100, "digest": "of rows"}
    inputs = SimpleNamespace(
        train=rows,
        validation=rows,
        train_facts=SimpleNamespace(**facts),
        validation_facts=SimpleNamespace(**facts),
        n_classes=N_CLASSES,
        n_features=4,
        warnings=(),
    )
    monkeypatch.setattr(validate, "validate", lambda *_given, **_more: inputs)
    monkeypatch.setattr(validate, "__version__", "any")
    tables: Any = SimpleNamespace(train=rows, validation=rows, parent=None, known=None)
    return validate_tables(tables, RowRules(), ValueOptions(method, given), "a-run", CHUNK_ROWS, Stages())


def recorded(checked: Checked) -> dict[str, Any]:
    """Return the parameters as the run record has them."""
    return checked.parameters.plain()


@pytest.mark.parametrize("case", GIVEN)
def test_parameters__are_recorded_byte_for_byte(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = checked_of(*GIVEN[case], monkeypatch)
    told, fingerprint = RECORDED[case]
    assert json.dumps(recorded(checked)) == told
    assert (checked.secret or checked.fingerprint) == fingerprint

"""The audit must pass what is right and fail what is not; its reference must itself be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from covering import covering
from hypothesis import given
from hypothesis import strategies as st
from kernel_arguments import Arguments, arguments, engine_partial
from oracles import METHODS, METRICS, exact_values, reference_point_values
from scipy.stats import spearmanr
from strategies import Problem, any_problem

from dvspark.audit import approximation, reference
from dvspark.audit.checks import check_efficiency, check_finite, check_sample, require, verdict
from dvspark.audit.reference import merged_reference_partial, reference_points
from dvspark.errors import AuditError
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.formulas.truncated_knn_shapley import TruncatedKnnShapley
from dvspark.kernels.ranking.rank_values import rank_values
from dvspark.methods import METHODS as DECLARATIONS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Finding, Partial, TrainArrays, TrainColumns

K = 3
TOLERANCE = 1e-12


def random_rows(seed: int, *, places: bool = False) -> tuple[np.ndarray, ...]:
    """Return 90 training rows and 9 points; ``places``: all of them at a few places, none at the origin."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 4, size=(99, 2)) if places else rng.normal(size=(99, 5))
    x, y = x.astype(np.float32), rng.integers(0, 3, size=99)
    return x[:90], y[:90], x[90:], y[90:]


@pytest.fixture(scope="module")
def valued() -> tuple[Arguments, Partial]:
    """A valuation that is right, and what it was made of."""
    given_rows = arguments(random_rows(1))
    return given_rows, engine_partial(*given_rows)


def reference_partial(train: TrainArrays, chunk: ChunkArrays, options: ValueOptions, parameters: Parameters) -> Partial:
    points = reference_points(train, chunk, options)
    return merged_reference_partial(points, train.columns, train.n_train, options, parameters)


def copied(partial: Partial) -> Partial:
    return replace(partial, value=partial.value.copy(), value_squared=partial.value_squared.copy())


# --- efficiency -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("places", [False, True])
def test_check_efficiency__passes_right_values(method: str, ties: str, aggregate: str, places: bool) -> None:
    totals = engine_partial(*arguments(random_rows(2, places=places), method=method, ties=ties))
    values = totals.value / (totals.n_validation if aggregate == "mean" else 1)
    finding = check_efficiency(values, totals, aggregate)
    assert finding.verdict == "pass"
    assert finding.measured < 1e-12
    assert finding.name == "efficiency"


PLANTED = {
    "one value moved by a millionth": lambda values: values + 1e-6 * (np.arange(len(values)) == 7),
    "one value NaN": lambda values: np.where(np.arange(len(values)) == 7, np.nan, values),
    "one value infinite": lambda values: np.where(np.arange(len(values)) == 7, np.inf, values),
    "one value lost": lambda values: values[1:],
    "one value twice": lambda values: np.append(values, values[0]),
    "sign": lambda values: -values,
    "all zero": np.zeros_like,
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_check_efficiency__fails_planted_errors(valued: tuple[Arguments, Partial], plant: Any) -> None:
    _, totals = valued
    values = totals.value / totals.n_validation
    assert check_efficiency(values, totals, "mean").verdict == "pass"
    assert check_efficiency(plant(values), totals, "mean").verdict == "fail"


def test_check_efficiency__fails_when_points_were_lost(valued: tuple[Arguments, Partial]) -> None:
    (train, chunk, asked, parameters), totals = valued
    # Several: a single point may have no match among its neighbors, and then its values sum to nothing.
    lost = engine_partial(train, replace(chunk, x=chunk.x[4:], labels=chunk.labels[4:]), asked, parameters)
    # The sums lack points that the utilities have; the other way round, and with the mean over too many.
    assert check_efficiency(lost.value, totals, "sum").verdict == "fail"
    assert check_efficiency(totals.value, lost, "sum").verdict == "fail"
    assert check_efficiency(lost.value / totals.n_validation, totals, "mean").verdict == "fail"


def test_check_efficiency__fails_for_the_other_aggregate(valued: tuple[Arguments, Partial]) -> None:
    _, totals = valued
    assert check_efficiency(totals.value, totals, "mean").verdict == "fail"
    assert check_efficiency(totals.value / totals.n_validation, totals, "sum").verdict == "fail"


def test_check_efficiency__a_utility_that_is_no_number_never_passes(valued: tuple[Arguments, Partial]) -> None:
    _, totals = valued
    for broken in (np.nan, np.inf, -np.inf):
        bad = replace(totals, utility=broken)
        assert check_efficiency(totals.value / totals.n_validation, bad, "mean").verdict == "fail"


def test_check_efficiency__counts_the_utility_of_no_rows() -> None:
    totals = engine_partial(*arguments(random_rows(3), method="soft_knn_shapley"))
    assert totals.empty_utility == pytest.approx(totals.n_validation / 3)
    without = replace(totals, empty_utility=0.0)
    assert check_efficiency(totals.value, totals, "sum").verdict == "pass"
    assert check_efficiency(totals.value, without, "sum").verdict == "fail"


# --- sample -----------------------------------------------------------------------------------------------


def test_check_sample__passes_the_engine(valued: tuple[Arguments, Partial]) -> None:
    given_rows, engine = valued
    finding = check_sample(engine, reference_partial(*given_rows))
    assert (finding.name, finding.verdict) == ("sample", "pass")
    assert "9 validation points" in finding.meaning


@pytest.mark.parametrize(
    ("certificate", "error", "expected"),
    [
        (1e-6, 1e-5, "fail"),
        (1e-6, 1e-7, "pass"),
        (0.0, 1e-7, "fail"),
        (0.0, 1e-10, "fail"),
        (1e-6, np.nan, "fail"),
        (0.0, np.inf, "fail"),
    ],
)
def test_check_sample__fails_a_value_that_is_off(
    valued: tuple[Arguments, Partial], certificate: float, error: float, expected: str
) -> None:
    given_rows, engine = valued
    off = copied(engine)
    # The error is one of the mean over the points.
    off.value[11] -= error * off.n_validation
    off.error_bound = (certificate + 0.25) * off.n_validation
    assert check_sample(off, reference_partial(*given_rows), own_error=0.25).verdict == expected


def test_check_sample__fails_when_a_point_was_lost(valued: tuple[Arguments, Partial]) -> None:
    given_rows, engine = valued
    right = reference_partial(*given_rows)
    finding = check_sample(replace(engine, n_validation=8), right)
    assert finding.verdict == "fail"
    assert "8 of 9" in finding.meaning


def test_check_sample__fails_swapped_rows(valued: tuple[Arguments, Partial]) -> None:
    given_rows, engine = valued
    swapped = copied(engine)
    swapped.value[[0, 1]] = swapped.value[[1, 0]]
    # What the efficiency axiom cannot see.
    assert check_efficiency(swapped.value, engine, "sum").verdict == "pass"
    assert check_sample(swapped, reference_partial(*given_rows)).verdict == "fail"


# --- finite, verdict, require -----------------------------------------------------------------------------


def test_check_finite__counts_what_is_no_number() -> None:
    assert check_finite(np.array([0.0, -1.0, 1e300])).verdict == "pass"
    finding = check_finite(np.array([0.0, np.nan, np.inf, -np.inf]))
    assert (finding.name, finding.verdict, finding.measured) == ("finite", "fail", 3.0)


def finding_of(name: str, result: str) -> Finding:
    return Finding(name, result, 0.5, 0.25, f"what {name} means")


@pytest.mark.parametrize(
    ("results", "expected"),
    [([], "pass"), (["pass"], "pass"), (["pass", "warn"], "warn"), (["warn", "fail", "pass"], "fail")],
)
def test_verdict__is_the_worst(results: list[str], expected: str) -> None:
    assert verdict([finding_of(str(n), result) for n, result in enumerate(results)]) == expected


def test_require__names_everything_that_failed() -> None:
    findings = [finding_of("one", "fail"), finding_of("two", "pass"), finding_of("three", "fail")]
    with pytest.raises(AuditError) as caught:
        require([*findings, finding_of("four", "warn")], ValueOptions())
    assert caught.value.exit_code == 6
    assert [problem.where for problem in caught.value.problems] == ["audit: one", "audit: three"]
    for words in ("at most 0.25", "0.5: what one means (knn_shapley)", "what three means", "nothing was published"):
        assert words in str(caught.value)


def test_require__lets_the_rest_pass() -> None:
    require([], ValueOptions())
    require([finding_of("one", "pass"), finding_of("two", "warn")], ValueOptions())


# --- the reference ----------------------------------------------------------------------------------------


@given(
    problem=any_problem(),
    method=st.sampled_from(METHODS),
    ties=st.sampled_from(["id", "average"]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_reference_partial__agrees_with_the_definition_and_the_engine(
    problem: Problem, method: str, ties: str, dtype: Any
) -> None:
    problem = replace(problem, train_ids=None)
    x, *rest = problem.data
    rows = (np.array(x, dtype), rest[0], *[np.array(z, dtype) for z in rest[1:2]], *rest[2:])
    options = {"method": method, "ties": ties, "metric": problem.metric, "self_validation": problem.self_validation}
    given_rows = arguments(rows, k=problem.k, n_classes=problem.n_classes, **options)
    by_reference = reference_partial(*given_rows)
    points = reference_point_values(*problem.data, **problem.options, method=method, ties=ties)
    np.testing.assert_allclose(by_reference.value, points.sum(axis=0), rtol=0, atol=TOLERANCE)
    assert by_reference.n_validation == len(points)
    engine = engine_partial(*given_rows)
    np.testing.assert_allclose(engine.value, by_reference.value, rtol=0, atol=TOLERANCE)
    assert check_sample(engine, by_reference).verdict == "pass"
    assert check_efficiency(by_reference.value, engine, "sum").verdict == "pass"


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("places", [False, True])
def test_reference_partial__slices_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, method: str, metric: str, ties: str, places: bool
) -> None:
    given_rows = arguments(random_rows(4, places=places), method=method, metric=metric, ties=ties)
    whole = reference_partial(*given_rows)
    monkeypatch.setattr(reference, "SLICE_BYTES", 7 * 8 * given_rows[0].x.shape[1])
    np.testing.assert_array_equal(reference_partial(*given_rows).value, whole.value)


@pytest.mark.parametrize("labels", [[1, 0], [0, 1]])
@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("flip", [False, True])
def test_reference_partial__rounding_breaks_no_cosine_tie(flip: bool, ties: str, labels: list[int]) -> None:
    # One direction; the unit vectors differ in the last bit.
    x = np.array([[0, 1, 1], [0, 3, 3]], np.float64)[:: -1 if flip else 1]
    rows = (x, labels, np.array([[1, 1, 0]], np.float64), [1])
    partial = reference_partial(*arguments(rows, k=1, metric="cosine", ties=ties))
    expected = reference_point_values(*rows, method="knn_shapley", k=1, metric="cosine", ties=ties)
    exact = exact_values(x.tolist(), labels, [[1, 1, 0]], [1], method="knn_shapley", k=1, metric="cosine", ties=ties)
    np.testing.assert_allclose(partial.value, expected[0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(partial.value, [float(value) for value in exact], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("precision", ["default", "float64"])
@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
def test_reference_partial__of_rows_whose_squares_vanish_is_that_of_the_same_rows_scaled(
    metric: str, precision: str
) -> None:
    x, y, z, y_z = random_rows(6, places=True)
    small = (np.ldexp(np.float64(x), -800), y, np.ldexp(np.float64(z), -800), y_z)
    expected = reference_partial(*arguments((x, y, z, y_z), metric=metric))
    given_rows = arguments(small, metric=metric, precision=precision)
    np.testing.assert_array_equal(reference_partial(*given_rows).value, expected.value)
    assert check_sample(engine_partial(*given_rows), expected).verdict == "pass"


def test_reference_partial__leaves_a_lone_row_without_a_game() -> None:
    rows = (np.ones((1, 2), np.float32), [0])
    partial = reference_partial(*arguments(rows, self_validation=True))
    np.testing.assert_array_equal(partial.value, [0.0])
    assert partial.n_validation == 1


@given(
    matches=st.lists(st.booleans(), min_size=1, max_size=40),
    k=st.integers(1, 45),
    n_classes=st.integers(1, 9),
    method=st.sampled_from(METHODS),
)
def test_recursive_values__equal_the_tables(matches: list[bool], k: int, n_classes: int, method: str) -> None:
    formulas = SoftKnnShapley(k, n_classes) if method == "soft_knn_shapley" else KnnShapley(k)
    flags = np.array(matches)
    weights = formulas.rank_weights(len(flags))
    by_tables = rank_values(flags, weights, np.empty(len(flags)))
    by_recursion = formulas.recursive_values(flags.astype(np.float64))
    np.testing.assert_allclose(by_recursion, by_tables, rtol=0, atol=1e-13)
    full, empty = formulas.utilities(float(np.count_nonzero(flags[:k])), len(flags))
    assert by_tables.sum() == pytest.approx(full - empty, abs=1e-13)


# --- sizes ------------------------------------------------------------------------------------------------

# What can be scaled, and how U grows with it.
SCALED: dict[str, tuple[str, dict[str, Any], int]] = {
    "targets": ("knn_regression_shapley", {}, 2),
    "targets, U(∅) given": ("knn_regression_shapley", {"empty_utility": -1.0}, 2),
    "weights": ("weighted_knn_shapley", {}, 1),
    "distances, as weights": ("weighted_knn_shapley", {"weight": "inverse_distance"}, -1),
    "U(∅) of normalized weights": ("weighted_knn_shapley", {"kind": "normalized", "empty_utility": 1e6}, 0),
}


def sized(method: str, scale: float, own: dict[str, Any], self_validation: bool) -> Arguments:
    """Return 60 rows and 5 points, or the rows alone, with every column a method may ask for, times ``scale``."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60, 4)) * (scale if "weight" in own else 1.0)
    z, y = (x, np.arange(60) % 3) if self_validation else (x[:5] + 0.1 * scale, np.arange(5) % 3)
    train, chunk, asked, _ = arguments((x, np.arange(60) % 3, z, y), method=method, self_validation=self_validation)
    own = {**own, **({"empty_utility": own["empty_utility"] * scale**2} if own.get("empty_utility") == -1.0 else {})}
    asked = replace(asked, parameters={"k": K, **own} if asked.declaration.knows("k") else own)
    targets = scale * (4 + rng.normal(size=60))
    columns_ = TrainColumns(targets, scale * rng.random(60), np.arange(60, dtype=np.int32) % 7, 7)
    if method == "knn_acquisition_shapley":
        columns_ = replace(columns_, owned=np.arange(60) % 10 == 9)
    rows_of_points = np.arange(60) if self_validation else None
    of_points = targets if self_validation else scale * (4 + rng.normal(size=5))
    chunk = replace(chunk, targets=of_points, train_rows=rows_of_points)
    return replace(train, columns=columns_), chunk, asked, asked.resolved(3)


def own_parameters(method: str) -> dict[str, Any]:
    declaration = DECLARATIONS[method]
    own: dict[str, Any] = {"radius": 1.5} if declaration.knows("radius") else {}
    own |= {"alpha": 64.0} if declaration.knows("alpha") else {}
    return own | ({"k_star": 20} if declaration.knows("k_star") else {})


def passes_and_fails(given_rows: Arguments, aggregate: str) -> float:
    """Check that the audit passes what is right, and no value off by 1e-8 of what |U| can be; return the latter."""
    asked, parameters = given_rows[2:]
    engine, by_reference = engine_partial(*given_rows), reference_partial(*given_rows)
    n, size = engine.n_validation, engine.size / engine.n_validation
    assert size == pytest.approx(by_reference.size / n, rel=1e-15)
    scale = n if aggregate == "mean" else 1
    off = copied(engine)
    off.value[1] += 1e-8 * size * n
    own_error = asked.declaration.own_error(len(engine.value), parameters)
    assert check_sample(engine, by_reference, own_error).verdict == "pass"
    assert check_sample(off, by_reference, own_error).verdict == "fail"
    if parameters.efficient:
        assert check_efficiency(engine.value / scale, engine, aggregate).verdict == "pass"
        assert check_efficiency(off.value / scale, engine, aggregate).verdict == "fail"
    return size


OF_ROWS = sorted(name for name, method in DECLARATIONS.items() if method.adds_up and not method.is_private)


@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("method", OF_ROWS)
def test_audit__passes_what_is_right_and_nothing_else(method: str, aggregate: str, self_validation: bool) -> None:
    if self_validation and method == "knn_acquisition_shapley":
        pytest.skip("owned rows play in every game")
    given_rows = sized(method, 1.0, own_parameters(method), self_validation)
    full = max(abs(engine_partial(*given_rows).utility), 1e-300) / given_rows[1].n_validation
    assert passes_and_fails(given_rows, aggregate) >= full


@pytest.mark.parametrize(
    ("case", "scale", "aggregate", "self_validation"),
    covering(list(SCALED), [1e-6, 1.0, 50.0, 2e5, 1e6], ["mean", "sum"], [False, True]),
)
def test_audit__tolerances_grow_and_shrink_with_what_values_are_made_of(
    case: str, scale: float, aggregate: str, self_validation: bool
) -> None:
    method, own, power = SCALED[case]
    size = passes_and_fails(sized(method, scale, own, self_validation), aggregate)
    at_one = passes_and_fails(sized(method, 1.0, own, self_validation), aggregate)
    if power >= 0:
        assert size == pytest.approx(at_one * scale**power)
    else:  # 1 / (1 + distance)
        assert size < 1.0 / scale * at_one * 20 if scale > 1 else size <= 3.0


@pytest.mark.parametrize(
    ("options", "name", "named"),
    [
        ({}, "sample", True),
        ({}, "efficiency", False),
        ({}, "finite", False),
        ({"precision": "float64"}, "sample", False),
        ({"method": "weighted_knn_shapley", "parameters": {"weight": "rbf"}}, "sample", False),
        ({"method": "weighted_knn_shapley"}, "sample", True),
        ({"method": "chg_shapley"}, "sample", False),
    ],
)
def test_require__names_float64_where_it_is_the_way_out(options: dict[str, Any], name: str, named: bool) -> None:
    with pytest.raises(AuditError) as caught:
        require([finding_of(name, "fail")], ValueOptions(**options))
    assert ("precision: float64" in caught.value.problems[0].hint) == named


# --- approximations ---------------------------------------------------------------------------------------


def approximated(k_star: int, **more: Any) -> tuple[Arguments, Partial, Partial]:
    """Return a truncated valuation and its partial, and that of exact values of the same points."""
    train, chunk, asked, _ = arguments(random_rows(5), method="truncated_knn_shapley")
    parameters = TruncatedKnnShapley(K, k_star=k_star, **more)
    others, exact_parameters = approximation.approximated(asked, parameters)
    assert (others.method, exact_parameters) == ("knn_shapley", KnnShapley(K))
    exact = reference_partial(train, chunk, others, exact_parameters)
    return (train, chunk, asked, parameters), engine_partial(train, chunk, asked, parameters), exact


def findings_of(given_rows: Arguments, engine: Partial, exact: Partial) -> dict[str, Finding]:
    _, chunk, asked, parameters = given_rows
    asked = replace(asked, parameters=parameters.plain())
    values = engine.value / chunk.n_validation
    found = approximation.approximation_findings(asked, parameters, 90, engine, exact, values)
    return {finding.name: finding for finding in found}


@pytest.mark.parametrize("tail", ["zero", "bound"])
def test_approximation__is_told_from_exact_values_of_the_sample(tail: str) -> None:
    given_rows, engine, exact = approximated(20, tail=tail)
    found = findings_of(given_rows, engine, exact)
    assert list(found) == ["near_rows", "rank_correlation", "approximation_error", "untouched"]
    assert found["rank_correlation"].measured == pytest.approx(spearmanr(engine.value, exact.value).statistic)
    error = found["approximation_error"]
    assert error.measured == pytest.approx(np.max(np.abs(engine.value - exact.value)) / 9)
    assert (error.verdict, error.allowed) == ("pass", 1 / 20 if tail == "zero" else 1 / 40)
    assert 0 < error.measured < error.allowed
    assert found["untouched"].measured == np.mean(engine.value == 0)
    assert (found["untouched"].measured > 0) == (tail == "zero")
    assert verdict([*found.values()]) == "warn"


@pytest.mark.parametrize(("k_star", "expected"), [(59, "warn"), (60, "pass"), (61, "pass")])
def test_approximation__few_near_rows_are_a_warning_with_the_reason(k_star: int, expected: str) -> None:
    finding = findings_of(*approximated(k_star))["near_rows"]
    assert (finding.verdict, finding.measured, finding.allowed) == (expected, k_star, 20 * K)
    assert ("ranks suffer" in finding.meaning) == (expected == "warn")
    require([finding], ValueOptions())


def test_approximation__all_rows_are_never_few() -> None:
    assert approximation.check_near_rows(30, 30, k=5).verdict == "pass"
    assert approximation.check_near_rows(29, 30, k=5).verdict == "warn"


@pytest.mark.parametrize(("index", "expected"), [("exact", "fail"), ("HNSW32", "warn")])
@pytest.mark.parametrize("error", [1.0, np.nan])
def test_approximation__an_error_above_the_bound_fails_where_it_is_proven(
    index: str, expected: str, error: float
) -> None:
    given_rows, engine, exact = approximated(60, index=index)
    off = copied(engine)
    off.value[3] += error
    found = findings_of(given_rows, off, exact)
    assert found["approximation_error"].verdict == expected
    assert ("not proven" in found["approximation_error"].meaning) == (index != "exact")


def test_approximation__equal_values_have_no_order() -> None:
    given_rows, engine, exact = approximated(60)
    flat = replace(engine, value=np.zeros(90))
    assert findings_of(given_rows, flat, exact)["rank_correlation"].measured == 0.0
    assert findings_of(given_rows, exact, exact)["rank_correlation"].measured == pytest.approx(1.0, abs=1e-15)


def test_approximation__other_methods_have_nothing_to_tell(valued: tuple[Arguments, Partial]) -> None:
    (_, _, asked, parameters), engine = valued
    assert approximation.approximation_findings(asked, parameters, 90, engine, engine, engine.value) == []
    with pytest.raises(ValueError, match="approximates no other"):
        approximation.approximated(asked, parameters)


def test_check_recall__counts_the_nearest_rows_that_were_found() -> None:
    rows = [np.array(some, np.int64) for some in ([1, 2, 3], [4], [])]
    nearest = [np.array(some, np.int64) for some in ([3, 2, 9], [5, 4], [7])]
    assert approximation.check_recall(rows, nearest).measured == 3 / 6
    assert approximation.check_recall([], []).measured == 1.0

"""Private runs: who they are, what of them is published, whom they refuse, and noise that is used again."""

from __future__ import annotations

import itertools
import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import dvspark
from dvspark.arrays import array_values
from dvspark.errors import ConfigError, InputError, OutputConflictError
from dvspark.kernels.radius.owner_counts import first_of_owners, owner_counts
from dvspark.kernels.radius.radius import Neighbors
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.privacy import KeptRelease
from dvspark.runs import private
from dvspark.tables.sinks.owner_folders import owner_problems
from dvspark.tables.sinks.write import PRIVATE_REJECTED, publish
from dvspark.tables.storage import open_storage

RNG = np.random.default_rng(4)
X, Y, Z, T = RNG.normal(size=(40, 2)), RNG.integers(0, 2, 40), RNG.normal(size=(9, 2)), RNG.integers(0, 2, 9)
OWNERS = np.array([f"o{row % 4}" for row in range(40)])
OPTIONS: dict[str, Any] = {"method": "dp_threshold_knn_shapley", "radius": 1.0, "epsilon": 1.0, "delta": 1e-6}


# --- who they are -------------------------------------------------------------------------------------------


def test_identity__is_random_and_kept_under_what_is_secret(tmp_path: Path) -> None:
    files = open_storage(str(tmp_path))
    first, other = private.new_identity("method", None), private.new_identity("method", None)
    assert first.run_id != other.run_id
    assert first.fingerprint != other.fingerprint
    assert private.kept_identity(files, "secret") is None
    assert private.keep_identity(files, "secret", first) == first
    assert private.keep_identity(files, "secret", other) == first  # of two starts the first
    assert private.keep_identity(files, "another table", other) == other
    assert private.new_identity("method", "given").run_id == "given"
    (kept,) = [path for path in tmp_path.rglob("*.json") if first.run_id in path.read_text()]
    (place,) = [path for path in kept.parent.iterdir() if path != kept]
    content = place.read_bytes()
    place.write_bytes(kept.read_bytes())
    with pytest.raises(OutputConflictError, match="who another run is"):
        private.kept_identity(files, "another table")
    place.write_bytes(content)
    kept.write_text(kept.read_text().replace(first.run_id, "method-000000000000"))
    with pytest.raises(OutputConflictError, match="a damaged file"):
        private.kept_identity(files, "secret")


# --- what is published --------------------------------------------------------------------------------------


def _record(of_train: Any) -> dict[str, Any]:
    """A run record in which ``of_train`` is whatever follows from the training table."""
    record: dict[str, Any] = {name: f"public {name}" for name in private.PUBLIC}
    names = ("reference", "n_rows", "n_rejected", "n_labels", "digest", "version", "files")
    record["inputs"] = {name: f"public {name}" for name in private.PUBLIC_INPUTS}
    record["inputs"] |= {"train": {"types": {"id": "bigint"}, **dict.fromkeys(names, of_train)}}
    record["inputs"]["absent_labels"] = [of_train]
    record["plan"] = {"name": of_train, "index_bytes": of_train}
    record["stages"] = [{"stage": "read", "seconds": of_train, "rows": of_train, "note": of_train}]
    record["warnings"] = [{"where": "delta", "expected": of_train}]
    sample = {"name": "sample", "verdict": "pass", "measured": of_train, "allowed": of_train, "meaning": str(of_train)}
    record["findings"] = [sample, {**sample, "name": "neighbors", "measured": 0.1, "allowed": 0.5, "meaning": "noisy"}]
    record["outputs"] = {"values": "values/run_id=r", **({"rejected": "private"} if of_train == 1 else {})}
    record["configuration"] = {"train": {"path": of_train}, "work_dir": of_train, "epsilon": 1.0}
    record |= dict.fromkeys(("totals_sha256", "values_sha256", "validation_rows", "anything new"), of_train)
    return record


def test_kept_record__is_that_of_the_run_or_refused(tmp_path: Path) -> None:
    files = open_storage(str(tmp_path))
    private.keep_record(files, "r", record := {"run_id": "r", "fingerprint": "f", "values_sha256": "v"})
    assert private.kept_record(files, "r", "f") == record
    with pytest.raises(OutputConflictError, match="another run's"):
        private.kept_record(files, "r", "another")
    with pytest.raises(OutputConflictError, match="no such file"):
        private.kept_record(files, "gone", "f")
    (path,) = tmp_path.rglob("record.json")
    path.write_text(path.read_text().replace('"v"', '"w"'))
    with pytest.raises(OutputConflictError, match="damaged"):
        private.kept_record(files, "r", "f")


def test_publish__rows_that_a_private_run_sets_aside_are_behind_0700_from_the_first_to_the_last(tmp_path: Path) -> None:
    storage, rows, seen = open_storage(str(tmp_path)), pa.table({"id": [1]}), list[int]()

    def look() -> None:
        (staging,) = tmp_path.glob("_staging-*")
        seen.append(stat.S_IMODE(staging.stat().st_mode))

    storage.make_private(private.FOLDER)
    for tables in ({"values": rows, PRIVATE_REJECTED: rows}, {"values": rows}):  # the second puts the former ones aside
        publish(storage, "r", tables, {"run.json": "{}"}, begin=look, force=True)
        assert (tmp_path / "private" / "rejected" / "run_id=r").is_dir() == (PRIVATE_REJECTED in tables)
    assert seen == [0o700, 0o700]
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_public_record__is_the_same_bytes_whatever_the_private_table() -> None:
    one, other = (json.dumps(private.public_record(_record(of_train))) for of_train in (1, "marked"))
    assert one == other
    assert "marked" not in other
    assert json.loads(one)["inputs"]["validation"] == "public validation"


# --- whom they refuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owners", "why"),
    [
        (["a", ""], "is empty"),
        (["a", "__HIVE_DEFAULT_PARTITION__"], "stands for none"),
        (["x" * 250], "longer than 255 bytes"),
        (["é" * 125], "longer than 255 bytes"),
        (["/" * 84], "longer than 255 bytes"),
        (["Ann", "ann"], "but for case"),
        (["é", "e\u0301"], "but for case"),
        (["straße", "STRASSE"], "but for case"),
    ],
)
def test_owner_problems__names_that_no_folder_can_hold(owners: list[str], why: str) -> None:
    (problem,) = owner_problems(["fine", *owners])
    assert why in problem.got
    assert "fine" not in problem.got


def test_owner_problems__all_kinds_at_once_and_none_for_names_that_are_escaped() -> None:
    assert len(owner_problems(["", "x" * 300, "b", "B"])) == 3
    assert owner_problems(["../../up", "a/b", "..", "a\nb", "%2e", "x" * 249, "é" * 124, "/" * 83]) == []
    assert owner_problems([1, 2, 10]) == []


# --- owners that are protected ------------------------------------------------------------------------------


def _counted(x: Any, y: Any, owners: Any, most: int) -> list[list[int]]:
    """Count by hand: the first rows of an owner within the radius, by id."""
    counts = []
    for z, label in zip(Z, T, strict=True):
        left, of_point = dict.fromkeys(owners, most), [0, 0]
        for row, owner in enumerate(owners):
            if np.sqrt(((x[row] - z) ** 2).sum()) <= OPTIONS["radius"] and left[owner]:
                left[owner] -= 1
                of_point[int(y[row] != label)] += 1
        counts.append(of_point)
    return counts


def _exact(monkeypatch: pytest.MonkeyPatch, **options: Any) -> np.ndarray:
    """Return the counts that would get noise."""
    seen: list[np.ndarray] = []
    with monkeypatch.context() as patch:
        patch.setattr(array_values, "private_release", lambda counts, _: seen.append(counts) or counts)
        dvspark.value_arrays(options.pop("x", X), options.pop("y", Y), Z, T, **{**OPTIONS, **options})
    return seen[0]


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_unit_owner__counts_the_first_rows_of_each_owner(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    found = _exact(monkeypatch, unit="owner", rows_per_owner=most, owners=OWNERS)
    assert found.tolist() == _counted(X, Y, OWNERS, most)


@pytest.mark.parametrize("most", [1, 3])
def test_unit_owner__no_owner_moves_a_points_counts_farther_than_is_promised(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    options = {"unit": "owner", "rows_per_owner": most}
    whole = _exact(monkeypatch, **options, owners=OWNERS)
    for owner in set(OWNERS):
        rest = owner != OWNERS
        without = _exact(monkeypatch, x=X[rest], y=Y[rest], owners=OWNERS[rest], **options)
        assert (np.linalg.norm(whole - without, axis=1) <= most).all()
        changed = np.where(rest, Y, 1 - Y)
        moved = _exact(monkeypatch, y=changed, owners=OWNERS, **options)
        assert (np.linalg.norm(whole - moved, axis=1) <= most * np.sqrt(2)).all()


@pytest.mark.parametrize("cuts", [[], [1], [13, 14, 30]])
def test_owner_counts__of_blocks_are_those_of_one_table(cuts: list[int]) -> None:
    rng = np.random.default_rng(len(cuts))
    kind, owners = rng.integers(0, 3, (5, 40)), rng.integers(0, 4, 40).astype(np.int32)
    flags = np.stack([kind == 0, kind == 1], axis=1)
    edges = [0, *cuts, 40]
    found = [
        first_of_owners([Neighbors(slice(0, 5), np.packbits(flags[:, :, a:b], axis=2))], owners[a:b], 2)
        for a, b in itertools.pairwise(edges)
    ]
    expected = np.zeros((5, 2), int)
    for point in range(5):
        for owner in range(4):
            of_owner = [k for k, o in zip(kind[point], owners, strict=True) if o == owner and k < 2][:2]
            for k in of_owner:
                expected[point, k] += 1
    assert owner_counts(found, 5, 2).tolist() == expected.tolist()


def test_unit_owner__asks_for_owners_and_how_many_rows_of_them() -> None:
    with pytest.raises(ConfigError, match="owners"):
        dvspark.value_arrays(X, Y, Z, T, unit="owner", rows_per_owner=2, **OPTIONS)
    with pytest.raises(ConfigError, match="rows_per_owner"):
        dvspark.value_arrays(X, Y, Z, T, unit="owner", owners=OWNERS, **OPTIONS)
    with pytest.raises(ConfigError, match=r"rows_per_owner[\s\S]*1 where rows are protected"):
        dvspark.value_arrays(X, Y, Z, T, rows_per_owner=2, **OPTIONS)
    sampled = {**OPTIONS, "unit": "owner", "rows_per_owner": 2, "sampling_rate": 0.5}
    with pytest.raises(ConfigError, match="'row' under Poisson sampling"):
        dvspark.value_arrays(X, Y, Z, T, owners=OWNERS, **sampled)


# --- nothing of the private table decides the radius --------------------------------------------------------


def test_automatic_radius__is_that_of_the_points_whatever_the_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    count = PrivateMethod.counts

    def counts(*arguments: Any) -> Any:
        seen.append(arguments[4].radius)
        return count(*arguments)

    monkeypatch.setattr(PrivateMethod, "counts", counts)
    for n in (40, 39, 3):
        dvspark.value_arrays(X[:n] * n, Y[:n], Z, T, **{**OPTIONS, "radius": "auto"})
    assert len(seen) == 3
    assert len(set(seen)) == 1


# --- noise that is used again -------------------------------------------------------------------------------


def test_value_arrays__with_a_release_draws_once_and_spends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptRelease()
    first = dvspark.value_arrays(X, Y, Z, T, release=kept, **OPTIONS)

    def never(*_: Any) -> None:
        raise AssertionError("noise is drawn again")

    monkeypatch.setattr(array_values, "private_release", never)
    np.testing.assert_array_equal(dvspark.value_arrays(X, Y, Z, T, release=kept, **OPTIONS), first)
    other = Y.copy()
    other[0] ^= 1
    for changed in ((X, other, Z, T), (X + 1, Y, Z, T), (X, Y, Z + 1, T), (X[:-1], Y[:-1], Z, T)):
        with pytest.raises(InputError, match="one of these tables and parameters"):
            dvspark.value_arrays(*changed, release=kept, **OPTIONS)
    with pytest.raises(InputError, match="one of these tables and parameters"):
        dvspark.value_arrays(X, Y, Z, T, release=kept, **{**OPTIONS, "epsilon": 2.0})
    with pytest.raises(AssertionError, match="drawn again"):
        dvspark.value_arrays(X, Y, Z, T, **OPTIONS)
    with pytest.raises(ConfigError, match="a private method"):
        dvspark.value_arrays(X, Y, Z, T, k=2, release=kept)


def test_value_arrays__of_a_sample_with_a_release_values_the_same_rows_as_sampled() -> None:
    pytest.importorskip("dp_accounting")
    kept, options = KeptRelease(), {**OPTIONS, "sampling_rate": 0.5}
    first = dvspark.value_arrays(X, Y, Z, T, release=kept, **options)
    np.testing.assert_array_equal(dvspark.value_arrays(X, Y, Z, T, release=kept, **options), first)

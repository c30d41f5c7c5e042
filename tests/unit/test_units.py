"""Units: sizes and times as people write and read them."""

from __future__ import annotations

import pytest

from dvspark.units import parse_bytes, show_bytes, show_count, show_seconds

MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [("4g", 4 * GIB), ("512m", GIB // 2), ("1.5G", 3 * GIB // 2), ("64k", 2**16), ("1tb", 2**40), (" 2g ", 2 * GIB)],
)
def test_parse_bytes__reads_sizes(size: str, n_bytes: int) -> None:
    assert parse_bytes(size) == n_bytes


@pytest.mark.parametrize("size", ["", "4", "g", "-1g", "4 x", "4gib"])
def test_parse_bytes__knows_what_is_no_size(size: str) -> None:
    assert parse_bytes(size) is None


@pytest.mark.parametrize(
    ("n_bytes", "said"), [(0, "0.0 MiB"), (MIB, "1.0 MiB"), (GIB - MIB, "1023.0 MiB"), (3 * GIB // 2, "1.5 GiB")]
)
def test_show_bytes__in_mib_or_gib(n_bytes: int, said: str) -> None:
    assert show_bytes(n_bytes) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3599.7, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_show_seconds__in_the_two_largest_units(seconds: float, said: str) -> None:
    assert show_seconds(seconds) == said


def test_show_count__with_its_noun() -> None:
    assert [show_count(n, "row") for n in (0, 1, 1_000)] == ["0 rows", "1 row", "1,000 rows"]
    assert [show_count(n, "row lies", "rows lie") for n in (1, 2)] == ["1 row lies", "2 rows lie"]

"""Locks: one holder at a time, and none once it is closed."""

from __future__ import annotations

from pathlib import Path

from dvspark.host.locks import locked, take


def test_take__one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch(0o600)
    with path.open("rb") as first, path.open("rb") as second:
        assert take(first)
        assert take(first)
        assert not take(second)
        first.close()
        assert take(second)


def test_locked__is_none_where_nothing_can_be_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert locked(path) is None
    path.touch(0o600)
    held = locked(path)
    assert held is not None
    with held:
        assert locked(path) is None
    path.chmod(0o666)  # anybody may write to it
    assert locked(path) is None

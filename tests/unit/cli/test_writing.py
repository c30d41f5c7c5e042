"""A file that a command makes for its user: whole, of one writer, and where nothing is."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from dvspark.cli.writing import new_file, write_new, write_together
from dvspark.errors import ConfigError, OutputConflictError


def test_new_file__of_two_writers_at_once_the_second_is_refused_and_the_file_is_that_of_the_first(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.html"
    write_new(path, b"what was there before, and is longer", force=False)
    with new_file(path, force=True) as file:
        file.write(b"the first")
        with pytest.raises(OutputConflictError, match="another process writes"):
            write_new(path, b"the second one", force=True)
    assert path.read_bytes() == b"the first"


def test_new_file__that_is_not_finished_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    path, link = tmp_path / "payout.csv", tmp_path / "link"
    write_new(path, b"what was paid", force=False)
    path.chmod(0o640)
    link.symlink_to(path.name)

    def write_half() -> None:
        with new_file(link, force=True) as file:
            file.write(b"half of")
            file.flush()
            assert path.read_bytes() == b"what was paid"  # as one reads who comes meanwhile
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_bytes() == b"what was paid"
    write_new(link, b"what is paid", force=True)
    assert path.read_bytes() == b"what is paid"
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_new_file__that_is_not_finished_goes_and_what_is_there_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_file(tmp_path / "new", force=False):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    write_new(tmp_path / "new", b"1", force=False)
    with pytest.raises(OutputConflictError, match="a path where nothing is"):
        write_new(tmp_path / "new", b"2", force=False)
    assert (tmp_path / "new").read_bytes() == b"1"
    with pytest.raises(ConfigError, match="a path that can be written"):
        write_new(tmp_path, b"2", force=True)
    write_new(Path("/dev/null"), b"2", force=True)


def test_write_together__writes_all_files_or_none(tmp_path: Path) -> None:
    csv, parquet = tmp_path / "paid.csv", tmp_path / "paid.parquet"
    parquet.mkdir()
    with pytest.raises(OutputConflictError, match=r"paid\.parquet"):
        write_together({csv: b"1", parquet: b"2"})
    assert list(tmp_path.iterdir()) == [parquet]
    parquet.rmdir()
    # The first file has room, the second has not.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(ConfigError, match="File too large"):
            write_together({csv: b"1", parquet: bytes(100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    write_together({csv: b"1", parquet: b"2"})
    assert [path.read_bytes() for path in (csv, parquet)] == [b"1", b"2"]

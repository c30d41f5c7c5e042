"""Class data: an archive of the classes that Spark loads, parsed and verified, from which Java starts with less CPU.

Java itself compares an archive with its own version and with the files of the classes, and starts without one that does
not fit. The folder belongs to one user alone: what stands in an archive is run.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from dvspark.errors import ComputeError, ConfigError, Problem
from dvspark.host.own_folder import OwnFolder
from dvspark.host.owned import PRIVATE_FILE, is_own, is_own_folder, made_own_folder, place_of_others

# "off": no archive is used.
CLASS_DATA_VARIABLE = "DVSPARK_CLASS_DATA"
OFF = "off"
# Java tells of an archive that does not fit, and of classes that cannot be in one, on standard output.
QUIET = "-Xlog:cds*=off -Xlog:class+path*=off"
# Characters that Spark's own reading of options, or Java's, takes for something else.
UNSAFE = set("\"'\\,:% \t\n")
NAME_LETTERS, SUFFIX = 32, ".jsa"
# How long Java may take to end, and to write the archive: 15 s alone, more than 120 s beside eight busy processes.
DUMP_SECONDS = 900.0


def class_data_folder() -> Path | None:
    """Return the user's folder for archives: what CLASS_DATA_VARIABLE names, or one in the user's cache.

    None if there shall be none, or Java could not be told of it.
    """
    told = os.environ.get(CLASS_DATA_VARIABLE, "")
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(told or Path(cache) / "dvspark" / "class-data")
    return None if told == OFF or not folder.is_absolute() or UNSAFE & set(str(folder)) else folder


def archive_name(java_home: Path) -> str:
    """Return the name that the archive for this Java and this Spark begins with.

    It follows from the files of both, so another version has another archive. Cost: some hundred file statuses.
    """
    told, found = hashlib.sha256(), find_spec("pyspark")
    places = [java_home / "bin" / "java", java_home / "release", java_home / "lib" / "server" / "libjvm.so"]
    if found is not None and found.origin is not None:
        with suppress(OSError):
            places += sorted((Path(os.environ.get("SPARK_HOME") or Path(found.origin).parent) / "jars").iterdir())
    for place in places:
        with suppress(OSError):
            seen = place.stat()
            told.update(f"{place}:{seen.st_size}:{seen.st_mtime_ns}\n".encode())
    return told.hexdigest()[:NAME_LETTERS]


def archive(java_home: Path) -> Path | None:
    """Return the archive for this Java and this Spark; None unless there is one, whole and of this user alone.

    Java takes an archive as it is: one that was cut short ends it. So its name has the sha256 of its content, and it is
    read: 0.1 s, of the 3 s that it saves.
    """
    folder = class_data_folder()
    if folder is None or not is_own_folder(folder) or place_of_others(folder) is not None:
        return None
    for path in sorted(folder.glob(f"{archive_name(java_home)}-*{SUFFIX}")):
        try:
            found = os.lstat(path)
            is_plain = stat.S_ISREG(found.st_mode) and is_own(found)
            if is_plain and path.name == _full_name(path, path.name[:NAME_LETTERS]):
                return path
        except FileNotFoundError:  # whoever removed it has put a new one there first
            return archive(java_home)
    return None


def class_data_options(java_home: Path) -> str:
    """Return the options by which Java uses its archive; "" if there is none."""
    path = archive(java_home)
    return "" if path is None else f"-XX:SharedArchiveFile={path} -Xshare:auto {QUIET}"


def _full_name(path: Path, name: str) -> str:
    with path.open("rb") as file:
        return f"{name}-{hashlib.file_digest(file, 'sha256').hexdigest()[:NAME_LETTERS]}{SUFFIX}"


@contextmanager
def writing_archive(java_home: Path) -> Iterator[str]:
    """Yield the options by which a Java writes the archive as it ends; it must have ended when the block does.

    The archive is in its place when the block has ended, in one step, in place of one of the same versions.
    Raises: ConfigError where there is no place for one, ComputeError if Java has written none, or the folder is not of
    this user alone.
    """
    folder = class_data_folder()
    if folder is None:
        hint = (
            f"unset {CLASS_DATA_VARIABLE}, or give the full path of a folder, without blanks, quotes, commas and colons"
        )
        got = os.environ.get(CLASS_DATA_VARIABLE) or "none"
        raise ConfigError(Problem(CLASS_DATA_VARIABLE, "a folder for class data", got, hint))
    made_own_folder(folder, f"remove it, or set {CLASS_DATA_VARIABLE} to another folder")
    name = archive_name(java_home)
    earlier = [*folder.glob(f"{name}-*{SUFFIX}")]
    own = OwnFolder.make_scratch(folder)
    written = own.path / f"{name}{SUFFIX}"
    try:
        yield f"-XX:ArchiveClassesAtExit={written} {QUIET}"
        if not written.is_file() or not written.stat().st_size:
            hint = "a Java without an archive of its own, such as a reduced runtime, writes none: jobs run without"
            raise ComputeError(Problem("class data", "an archive that Java writes as it ends", "none", hint))
        written.chmod(PRIVATE_FILE)
        place = folder / _full_name(written, name)
        written.replace(place)
        for path in earlier:  # and none that another process has written meanwhile, which may be told of it just now
            if path != place:
                path.unlink(missing_ok=True)  # a Java that has mapped it keeps it
    finally:
        own.remove()


def end_java() -> None:
    """End the Java that this process has started, whose sessions are stopped, and wait until it is gone.

    Raises: ComputeError if it does not end; then it is killed.
    """
    from pyspark import SparkContext  # noqa: PLC0415 - an extra

    gateway = SparkContext._gateway
    java = getattr(gateway, "proc", None)
    if gateway is None or java is None:
        return
    gateway.shutdown()
    java.stdin.close()
    SparkContext._gateway = SparkContext._jvm = None
    wait_until_gone(java, DUMP_SECONDS)


def wait_until_gone(java: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until Java has ended. Raises: ComputeError if it has not after so many seconds; then it is killed."""
    try:
        java.wait(seconds)
    except subprocess.TimeoutExpired:
        java.kill()
        java.wait()
        hint = "try again when the machine has less to do: until then, jobs run without an archive"
        expected = f"a Java that has written its archive and ended within {seconds:.0f} s"
        raise ComputeError(Problem("class data", expected, "one that has not", hint)) from None

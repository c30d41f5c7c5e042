"""Storage: the few file operations that publishing needs, on any file system that pyarrow knows."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyarrow import fs

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.runs.documents import LARGEST_BYTES

# File systems that rename a folder in one step.
ONE_STEP = ("local", "hdfs")
# Each failed try has met another process that removed the empty folder in the moment after it was made.
TRIES = 10
# What a folder is called that is being removed.
REMOVED = "_removed-"


@dataclass(frozen=True)
class Storage:
    """A folder and everything below it. Names are relative, with '/' between parts.

    ``uri`` is the folder's name for Spark, without escapes, because Spark undoes none; ``root`` is its name for the
    file system.
    """

    uri: str
    root: str
    file_system: fs.FileSystem

    def spark_path(self, name: str) -> str:
        """Return the path of ``name`` for Spark's readers and writers."""
        return f"{self.uri.rstrip('/')}/{name}"

    def shown_path(self, name: str) -> str:
        """Return the path of ``name`` in the form people use: a plain path on this machine, otherwise the URI."""
        return self.path(name) if self.file_system.type_name == "local" else self.spark_path(name)

    def path(self, name: str) -> str:
        """Return the path of ``name`` within the file system."""
        return f"{self.root.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether there is a file or folder of that name."""
        return self.file_system.get_file_info(self.path(name)).type != fs.FileType.NotFound

    def read(self, name: str) -> bytes:
        """Return the content of a file. Of a file too large for a document, return enough to see that it is damaged."""
        with self.file_system.open_input_stream(self.path(name)) as file:
            return bytes(file.read(LARGEST_BYTES + 1 if name.endswith(".json") else None))

    def read_text(self, name: str) -> str:
        """Return a file's text."""
        return self.read(name).decode()

    def write(self, name: str, content: bytes) -> None:
        """Write a file and make its folder, which other processes may remove as long as it is empty."""

        def write() -> None:
            with self.file_system.open_output_stream(self.path(name)) as file:
                file.write(content)

        self._in_folder_of(name, write)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file and make its folder."""
        self.write(name, text.encode())

    def make_private(self, name: str) -> None:
        """Make a folder that only its owner may open (mode 0700, on local disks), unless it is there.

        Elsewhere the storage's own rights decide. Raises: OutputConflictError if the folder is a link, or another
        user's.
        """
        if self.file_system.type_name != "local":
            return
        place = Path(self.path(name))
        with contextlib.suppress(FileExistsError):
            self._in_folder_of(name, lambda: place.mkdir(mode=0o700))
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            hint = "choose another output, or remove it"
            raise OutputConflictError(Problem(str(place), "a folder of this user", "a link, or another user's", hint))
        if stat.S_IMODE(found.st_mode) != 0o700:
            place.chmod(0o700)

    def write_first(self, name: str, content: bytes) -> bool:
        """Write a whole file if it is absent, and return whether this call did; at most one writer does.

        On local disks one writer does so, in one step. Other storage cannot create a file only if it is absent. There
        each writer puts its content beside the place, and takes the place if it finds no other writer's content. If two
        writers come within a moment of each other, both may find the other's content, and neither writes. Listings must
        show what was written before; those of HDFS, S3, Google's and Azure's storage do.
        """
        own = f"{name}.{secrets.token_hex(8)}"
        self.write(own, content)
        try:
            return self._take(own, name)
        finally:
            self.remove_file(own)

    def _take(self, own: str, name: str) -> bool:
        if self.file_system.type_name == "local":
            try:
                os.link(self.path(own), self.path(name))
            except FileExistsError:
                return False
            except OSError:  # a disk without hard links
                pass
            else:
                return True
        # The order matters: a rival that is no longer in the list has by then written the file.
        if self.rivals(name) != [own] or self.exists(name):
            return False
        self.rename(own, name)
        return True

    def rivals(self, name: str) -> list[str]:
        """Return the files that writers of a file have put beside its place, including writers that were killed."""
        folder, _, base = name.rpartition("/")
        beside = re.compile(re.escape(base) + r"\.[0-9a-f]{16}")
        return [f"{folder}/{rival}" for rival in self.names(folder) if beside.fullmatch(rival)]

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, without the folder's name, sorted; empty if it is absent."""
        found = entries(self.file_system, self.path(folder))
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def folders(self, name: str = "") -> list[str]:
        """Return the names of the folders in a folder, or of those at the top."""
        found = entries(self.file_system, self.path(name))
        return [info.base_name for info in found if info.type == fs.FileType.Directory]

    def remove_file(self, name: str) -> None:
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self.file_system.delete_file(self.path(name))

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder; one step on local disks and HDFS, a copy on object stores."""
        self._in_folder_of(target, lambda: self.file_system.move(self.path(source), self.path(target)))

    def _in_folder_of(self, name: str, action: Callable[[], None]) -> None:
        """Make the folder of a name, and do there what fails if another process removes the folder, still empty."""
        for left in reversed(range(TRIES)):
            try:
                self.file_system.create_dir(self.path(name).rsplit("/", 1)[0], recursive=True)
                action()
            except FileNotFoundError:
                if not left:
                    raise
            else:
                return

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, if it exists, so that nobody can take a half of it for the whole.

        Where a folder can be renamed in one step, it is renamed before its files are removed, to a name that
        `finish_removals` finds.
        """
        if not self.exists(name):
            return
        if self.file_system.type_name in ONE_STEP:
            name, left = f"{REMOVED}{secrets.token_hex(8)}", name
            self.rename(left, name)
        self._delete(name)

    def finish_removals(self) -> None:
        """Remove the folders that killed processes had begun to remove."""
        for folder in self.folders():
            if re.fullmatch(rf"{REMOVED}[0-9a-f]{{16}}", folder):
                with contextlib.suppress(PermissionError):  # another user's, who removes it
                    self._delete(folder)

    def _delete(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process may be removing the same folder
            self.file_system.delete_dir(self.path(folder))

    def remove_empty(self, name: str) -> None:
        """Remove a folder on a local disk if it is empty. Elsewhere the folder stays.

        Elsewhere it would take two steps, and what another process writes in between would be removed too.
        """
        if self.file_system.type_name == "local":
            with contextlib.suppress(OSError):
                Path(self.path(name)).rmdir()


def open_storage(place: str) -> Storage:
    """Return the storage at a path or URI.

    Raises: ConfigError for a URI that no file system here can open.
    """
    if "://" not in place and not place.startswith("file:"):
        try:
            root = str(Path(place).expanduser().resolve())
        except (ValueError, RuntimeError) as error:  # a zero byte, a user who has no home
            hint = "name a folder"
            raise ConfigError(Problem("output", "a place that can be written", f"{place}: {error}", hint)) from error
        return _local(root)
    try:
        # pyarrow says s3:// where Hadoop says s3a://; Spark gets the caller's spelling.
        file_system, root = fs.FileSystem.from_uri(place.replace("s3a://", "s3://", 1))
    except (ValueError, OSError, NotImplementedError) as error:
        hint = "use a local path, or file:, hdfs:, s3a: or gs:"
        raise ConfigError(Problem("output", "a place that can be written", f"{place}: {error}", hint)) from error
    return _local(root) if file_system.type_name == "local" else Storage(place, root, file_system)


def folder_problems(**places: str | None) -> list[Problem]:
    """Return the places, by the names of their settings, that are files, or lie below one: no folder can be made there.

    Storage without folders, such as S3, has no such place. Raises: ConfigError as `open_storage` does.
    """
    problems = []
    for where, place in places.items():
        storage = None if place is None else open_storage(place)
        if storage is None or storage.file_system.type_name not in ONE_STEP:
            continue
        root = PurePosixPath(storage.root)
        above = storage.file_system.get_file_info([str(path) for path in (root, *root.parents)])
        if found := next((info.path for info in above if info.type == fs.FileType.File), None):
            expected = "a folder, or a place where one can be made"
            got = f"the file {found}" if found == storage.root else f"{storage.root}, and {found} is a file"
            problems.append(Problem(where, expected, got, "name another place"))
    return problems


def entries(file_system: fs.FileSystem, folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
    """Return the files and folders in a folder, or all below it; none where there is no such folder."""
    return file_system.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))


def _local(root: str) -> Storage:
    """Return the storage of a local folder, with a URI for Hadoop, which reads %20 as part of a name."""
    return Storage(f"file://{root}", root, fs.LocalFileSystem())

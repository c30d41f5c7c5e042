"""Storage: the few file operations publishing needs, on any file system pyarrow knows."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.runs.documents import LARGEST_BYTES

# File systems that rename a folder in one step.
ONE_STEP = ("local", "hdfs")
# Each try that fails has met another process that removed the folder, empty, in the moment after it was made.
WRITE_TRIES = 10
# What a folder is called that is being removed.
REMOVED = "_removed-"


@dataclass(frozen=True)
class Storage:
    """A folder and everything below it; names are relative, with '/' between parts.

    ``uri`` is what Spark is told, nothing in it escaped, as it undoes none; ``root`` what the file system is told.
    """

    uri: str
    root: str
    file_system: fs.FileSystem

    def spark_path(self, name: str) -> str:
        """Return the path of ``name`` for Spark's readers and writers."""
        return f"{self.uri.rstrip('/')}/{name}"

    def shown_path(self, name: str) -> str:
        """Return the path of ``name`` as people use it: a plain path on this machine, else the URI."""
        return self.path(name) if self.file_system.type_name == "local" else self.spark_path(name)

    def path(self, name: str) -> str:
        """Return the path of ``name`` within the file system."""
        return f"{self.root.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether there is a file or folder of that name."""
        return self.file_system.get_file_info(self.path(name)).type != fs.FileType.NotFound

    def read(self, name: str) -> bytes:
        """Return a file's content; of a document that is too large for one, so much that it is known as damaged."""
        with self.file_system.open_input_stream(self.path(name)) as file:
            return bytes(file.read(LARGEST_BYTES + 1 if name.endswith(".json") else None))

    def read_text(self, name: str) -> str:
        """Return a file's text."""
        return self.read(name).decode()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, making its folder, which others may remove as long as it is empty."""
        for left in reversed(range(WRITE_TRIES)):
            self.file_system.create_dir(self.path(name).rsplit("/", 1)[0], recursive=True)
            try:
                with self.file_system.open_output_stream(self.path(name)) as file:
                    file.write(content)
            except FileNotFoundError:
                if not left:
                    raise
            else:
                return

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, making its folder."""
        self.write(name, text.encode())

    def make_private(self, name: str) -> None:
        """Make a folder, if it is not there, that only its owner may open: mode 0700, on local disks.

        Elsewhere the storage's own rights decide. Raises: OutputConflictError when it is a link, or another user's.
        """
        if self.file_system.type_name != "local":
            return
        place = Path(self.path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            hint = "choose another output, or remove it"
            raise OutputConflictError(Problem(str(place), "a folder of this user", "a link, or another user's", hint))
        if stat.S_IMODE(found.st_mode) != 0o700:
            place.chmod(0o700)

    def write_first(self, name: str, content: bytes) -> bool:
        """Write a file, whole, that is not there yet, and return whether it was: of several writers at most one does.

        On local disks one of them does, in one step. Elsewhere nothing can be made only if it is not there; so each
        writer puts its content beside the place, and takes the place if it finds nobody else's. Of two within a
        moment of each other both may find the other's, and neither writes. Needs listings that show what was
        written before, which HDFS, S3, Google's and Azure's storage give.
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
        # In this order: a rival that is gone from the list has left the file by then.
        if self.rivals(name) != [own] or self.exists(name):
            return False
        self.rename(own, name)
        return True

    def rivals(self, name: str) -> list[str]:
        """Return what writers of a file have put beside its place, those that were killed included."""
        folder, _, base = name.rpartition("/")
        beside = re.compile(re.escape(base) + r"\.[0-9a-f]{16}")
        return [f"{folder}/{rival}" for rival in self.names(folder) if beside.fullmatch(rival)]

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, without it, sorted; none where there is no such folder."""
        found = entries(self.file_system, self.path(folder))
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def folders(self, name: str = "") -> list[str]:
        """Return the names of the folders in a folder, else of those at the top."""
        found = entries(self.file_system, self.path(name))
        return [info.base_name for info in found if info.type == fs.FileType.Directory]

    def remove_file(self, name: str) -> None:
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self.file_system.delete_file(self.path(name))

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder; one step on local disks and HDFS, a copy on object stores."""
        self.file_system.create_dir(self.path(target).rsplit("/", 1)[0], recursive=True)
        self.file_system.move(self.path(source), self.path(target))

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, if it exists: of a half of it nobody can take the rest for the whole.

        It is renamed before its files go, to what `finish_removals` finds, where a folder can be renamed in one step.
        """
        if not self.exists(name):
            return
        if self.file_system.type_name in ONE_STEP:
            name, left = f"{REMOVED}{secrets.token_hex(8)}", name
            self.rename(left, name)
        self._delete(name)

    def finish_removals(self) -> None:
        """Remove what killed processes were about to remove."""
        for folder in self.folders():
            if re.fullmatch(rf"{REMOVED}[0-9a-f]{{16}}", folder):
                self._delete(folder)

    def _delete(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process removes what was left over, too
            self.file_system.delete_dir(self.path(folder))

    def remove_empty(self, name: str) -> None:
        """Remove a folder if nothing is in it, on a local disk; elsewhere not in one step, so it stays.

        What another process writes between a look and a removal would go with it.
        """
        if self.file_system.type_name == "local":
            with contextlib.suppress(OSError):
                Path(self.path(name)).rmdir()


def open_storage(place: str) -> Storage:
    """Return the storage at a path or URI.

    Raises: ConfigError for a URI no file system here answers to.
    """
    if "://" not in place and not place.startswith("file:"):
        try:
            root = str(Path(place).expanduser().resolve())
        except (ValueError, RuntimeError) as error:  # a zero byte, a user who has no home
            hint = "name a folder"
            raise ConfigError(Problem("output", "a place that can be written", f"{place}: {error}", hint)) from error
        return _local(root)
    try:
        # pyarrow speaks s3:// where Hadoop says s3a://; Spark keeps the caller's spelling.
        file_system, root = fs.FileSystem.from_uri(place.replace("s3a://", "s3://", 1))
    except (ValueError, OSError, NotImplementedError) as error:
        hint = "use a local path, or file:, hdfs:, s3a: or gs:"
        raise ConfigError(Problem("output", "a place that can be written", f"{place}: {error}", hint)) from error
    return _local(root) if file_system.type_name == "local" else Storage(place, root, file_system)


def entries(file_system: fs.FileSystem, folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
    """Return the files and folders in a folder, or all below it; none where there is no such folder."""
    return file_system.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))


def _local(root: str) -> Storage:
    """Return the storage of a folder here. Its URI is for Hadoop, which takes %20 for a name and not for a blank."""
    return Storage(f"file://{root}", root, fs.LocalFileSystem())

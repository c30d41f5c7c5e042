"""Storage: the few file operations publishing needs, on any file system pyarrow knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from dvspark.errors import ConfigError, Problem


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

    def read_text(self, name: str) -> str:
        """Return a file's text."""
        with self.file_system.open_input_stream(self.path(name)) as file:
            return file.read().decode()

    def write_text(self, name: str, text: str) -> None:
        """Write a file, making its folder."""
        self.file_system.create_dir(self.path(name).rsplit("/", 1)[0], recursive=True)
        with self.file_system.open_output_stream(self.path(name)) as file:
            file.write(text.encode())

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder; one step on local disks and HDFS, a copy on object stores."""
        self.file_system.create_dir(self.path(target).rsplit("/", 1)[0], recursive=True)
        self.file_system.move(self.path(source), self.path(target))

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, if it exists."""
        if self.exists(name):
            self.file_system.delete_dir(self.path(name))

    def remove_empty(self, name: str) -> None:
        """Remove a folder if nothing is in it."""
        selector = fs.FileSelector(self.path(name), allow_not_found=True)
        if self.exists(name) and not self.file_system.get_file_info(selector):
            self.file_system.delete_dir(self.path(name))


def open_storage(place: str) -> Storage:
    """Return the storage at a path or URI.

    Raises: ConfigError for a URI no file system here answers to.
    """
    if "://" not in place and not place.startswith("file:"):
        root = str(Path(place).expanduser().resolve())
        return Storage(f"file://{root}", root, fs.LocalFileSystem())
    try:
        # pyarrow speaks s3:// where Hadoop says s3a://; Spark keeps the caller's spelling.
        file_system, root = fs.FileSystem.from_uri(place.replace("s3a://", "s3://", 1))
    except (ValueError, OSError, NotImplementedError) as error:
        hint = "use a local path, or file:, hdfs:, s3a: or gs:"
        raise ConfigError(Problem("output", "a place that can be written", f"{place}: {error}", hint)) from error
    is_local = file_system.type_name == "local"
    return Storage(f"file://{root}" if is_local else place, root, file_system)

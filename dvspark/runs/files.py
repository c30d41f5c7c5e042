"""Files: the operations that a run needs of its output folder, and files that are either whole or absent."""

from __future__ import annotations

import secrets
from typing import Protocol


class Files(Protocol):
    """A folder of files, such as `tables.storage.Storage`."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file or folder of that name."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, without the folder's name; empty if there is no such folder."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, making its folder."""

    def write_first(self, name: str, content: bytes) -> bool:
        """Write a whole file if it is absent, and return whether this call did; at most one writer does."""

    def rivals(self, name: str) -> list[str]:
        """Return the files that writers of a file have put beside its place, including writers that were killed."""

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder."""

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, if it exists."""

    def remove_file(self, name: str) -> None:
        """Remove a file, if it exists."""

    def remove_empty(self, name: str) -> None:
        """Remove a folder if nothing is in it."""

    def make_private(self, name: str) -> None:
        """Make a folder that only its owner may open, unless it is there."""


def read_if_there(files: Files, name: str) -> bytes | None:
    """Return a file's content, None if there is no such file.

    To ask first whether it is there would fail where another process removes it in between.
    """
    try:
        return files.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_whole(files: Files, name: str, content: bytes) -> None:
    """Write a file so that it is either whole or absent: staged beside its place, then renamed."""
    staged = f"{name}.{secrets.token_hex(4)}"
    files.write(staged, content)
    files.rename(staged, name)

"""Files: what a run asks of the folder that its results go to, and files that are there whole or not at all."""

from __future__ import annotations

import secrets
from typing import Protocol


class Files(Protocol):
    """A folder of files, such as `tables.storage.Storage`."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file or folder of that name."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, without it; none where there is no such folder."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, making its folder."""

    def write_first(self, name: str, content: bytes) -> bool:
        """Write a file, whole, if it is not there, and return whether it was; of several writers at most one does."""

    def rivals(self, name: str) -> list[str]:
        """Return what writers of a file have put beside its place, those that were killed included."""

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder."""

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, if it exists."""

    def remove_file(self, name: str) -> None:
        """Remove a file, if it exists."""

    def remove_empty(self, name: str) -> None:
        """Remove a folder if nothing is in it."""

    def make_private(self, name: str) -> None:
        """Make a folder, if it is not there, that only its owner may open."""


def write_whole(files: Files, name: str, content: bytes) -> None:
    """Write a file that is there whole or not at all: staged beside its place, then renamed."""
    staged = f"{name}.{secrets.token_hex(4)}"
    files.write(staged, content)
    files.rename(staged, name)

"""The manifest of an index or a block: facts, and sha256 and size of each file. Its own sha256 is called the digest."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "index.json"


def write_manifest(directory: Path, names: list[str], known: Mapping[str, str | None], **facts: Any) -> str:
    """Write the manifest of files in or below ``directory``, in one step, and return its sha256.

    ``known`` has the sha256 of files that were read before; every byte of the other files is read. ``facts`` are
    written beside the files.
    """
    files = {name: known.get(name) or sha256_of(directory / name) for name in names}
    sizes = {name: (directory / name).stat().st_size for name in files}
    text = json.dumps({**facts, "files": files, "bytes": sizes}, indent=1)
    written = directory / f"{MANIFEST}.{uuid.uuid4().hex}"
    written.write_text(text)
    written.replace(directory / MANIFEST)  # safe: another attempt would write the same bytes
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the content of the manifest: the facts, and sha256 and size in bytes of each file."""
    manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    return manifest


def has_manifest(directory: Path, digest: str) -> bool:
    """Return whether the manifest is there and has the sha256 ``digest``, so that what it says can be relied on."""
    return sha256_of(directory / MANIFEST) == digest


def damaged_files(directory: Path, digest: str) -> list[str]:
    """Return the names of files that are missing or whose sha256 is not that of the manifest. Reads every byte."""
    if not has_manifest(directory, digest):
        return [MANIFEST]
    return [name for name, sha in read_manifest(directory)["files"].items() if sha256_of(directory / name) != sha]


def sha256_of(path: Path) -> str | None:
    """Return the sha256 of a file's content, None if there is no such file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

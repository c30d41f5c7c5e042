"""Owner folders: which names of owners can be names of folders, on any storage and for any reader."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from dvspark.errors import Problem, shown

# Longest file name, in bytes, on most file systems.
LONGEST = 255
# Spark writes a name as owner=NAME, these characters and control ones as %XX: slashes and dots lead nowhere else.
ESCAPED = frozenset("\"#%'*/:=?\\{[]^\x7f")
# The name that Spark and Hive write for a missing value.
NO_NAME = "__HIVE_DEFAULT_PARTITION__"
FIRST = 5


def owner_problems(owners: Iterable[str | int]) -> list[Problem]:
    """Return which owners cannot have a folder of their own, and why, with the first owner of each kind."""
    names = sorted({str(owner) for owner in owners})
    found: dict[str, list[str]] = {}
    for name in names:
        if (why := _why_not(name)) is not None:
            found.setdefault(why, []).append(name)
    for name in _alike(names):
        found.setdefault("is another's but for case or accents' coding", []).append(name)
    hint = "name owners otherwise, by a number for example; or set publish_all_values: true"
    return [
        Problem("train owners", "owners whose names a folder can have", f"{len(some)} that {_said(why, some)}", hint)
        for why, some in found.items()
    ]


def escaped(owner: str) -> str:
    """Return an owner's name as Spark writes it into a folder's."""
    return "".join(f"%{ord(one):02X}" if one in ESCAPED or one < " " else one for one in owner)


def _said(why: str, some: list[str]) -> str:
    return f"cannot, since the name {why}; the first: {shown(some[:FIRST])}"


def _why_not(name: str) -> str | None:
    """Return why a folder cannot have this name, or None if it can."""
    if not name or name == NO_NAME:
        return "is empty, or stands for none"
    n_bytes = sum(3 if one in ESCAPED or one < " " else len(one.encode()) for one in name)
    return f"is longer than {LONGEST} bytes, with owner=" if n_bytes + len("owner=") > LONGEST else None


def _alike(names: list[str]) -> Iterator[str]:
    """Yield names that are the same for stores that ignore case or that encode accents in one way only."""
    of_key: dict[str, list[str]] = {}
    for name in names:
        key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        of_key.setdefault(key, []).append(name)
    for same in of_key.values():
        if len(same) > 1:
            yield from same

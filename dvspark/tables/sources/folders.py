"""Folders: the columns in the names of a plain table's folders, and the names that are refused."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from dvspark.errors import Problem, shown
from dvspark.tables.sources.other_files import EMBED_PICTURES, is_picture

# The name of a folder whose rows have no value, as Spark writes it.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
# Escapes that Spark reads as one letter for each byte, where writers meant UTF-8.
ESCAPED_LETTER = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
# Texts that name the same number as text and as bigint, and texts of numbers that a double can have.
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Uses of columns that hold numbers, where two texts of one number are equal.
NUMBERS = ("weight", "loss", "target")
# Characters of which Spark's path patterns are made; in the path of a table they mean themselves.
PATTERN = re.compile(r"([\\{}\[\]*?])")


@dataclass(frozen=True)
class Folders:
    """The files of a plain table, as paths below its root, and the columns in the names of its folders.

    ``values`` has for each column the text of each file's folder, None for a missing value.
    """

    files: tuple[str, ...]
    values: dict[str, list[str | None]] = field(default_factory=dict)

    def kind(self, name: str, *, as_number: bool) -> str:
        """Return the Spark type that keeps the text of a column of folder names.

        ``as_number``: the column is used as numbers, so texts of numbers may become doubles.
        """
        told = [text for text in self.values[name] if text is not None]
        if all(WHOLE.fullmatch(text) for text in told) and told:
            return "bigint"
        return "double" if as_number and all(NUMBER.fullmatch(text) for text in told) else "string"

    def type_of(self, name: str, uses: Mapping[str, str]) -> str:
        """Return the Spark type of a column by ``uses``, the column of each use."""
        return self.kind(name, as_number=all(use in NUMBERS for use, column in uses.items() if column == name))


def literal(place: str) -> str:
    """Return a path in the form that Spark's readers take as the path itself, not as a pattern."""
    return PATTERN.sub(r"\\\1", place)


def below(place: str, uris: Iterable[str]) -> list[str]:
    """Return the files that Spark names as paths below a table's root, ascending; a single file as its name."""
    paths = [unquote(urlsplit(uri).path) for uri in uris]
    given = urlsplit(place).path if "://" in place or place.startswith("file:") else place
    parts = posixpath.normpath(given).strip("/").split("/")
    return sorted(_below(path, parts, absolute=given.startswith("/")) for path in paths)


def _below(path: str, root: Sequence[str], *, absolute: bool) -> str:
    parts = path.strip("/").split("/")
    starts = [0] if absolute else range(len(parts) - len(root), -1, -1)
    start = next((start for start in starts if parts[start : start + len(root)] == list(root)), None)
    if start is None:
        return path
    return "/".join(parts[start + len(root) :]) or parts[-1]


def folders_of(where: str, files: Sequence[str]) -> Folders | list[Problem]:
    """Return the columns in the folders' names, or the reasons why Spark would leave out rows or misread a name."""
    problems = [_colon(where, path) for path in files if ":" in posixpath.basename(path)][:1]
    keys = {tuple(name for name, _ in _named(path)) for path in files}
    if None in [text for path in files for _, text in _named(path)] or len(keys) > 1:
        odd = sorted({posixpath.dirname(path) for path in files}, key=lambda one: (one.count("="), one))
        expected = "files that all lie in the folder itself, or all in folders named column=value, of the same columns"
        hint = "Spark would pass over some of them: give a folder of its own to each table"
        if is_picture(files[0]):
            hint = EMBED_PICTURES
        problems.append(Problem(where, expected, f"files in {shown(one or '.' for one in odd[:3])}", hint))
        return problems
    names = next(iter(keys), ())
    if len({name.lower() for name in names}) < len(names):
        problems.append(Problem(where, "folders of one name a column", "/".join(names), "rename one of them"))
    for path in files:
        if ESCAPED_LETTER.search(posixpath.dirname(path)):
            hint = "name the folder as it is read; of other letters than ASCII none needs an escape"
            got = f"{path}, in which Spark takes each escape for a letter"
            problems.append(Problem(where, "folder names without escapes of UTF-8", got, hint))
            break
    if problems:
        return problems
    values = {name: [unescaped(_named(path)[place][1] or "") for path in files] for place, name in enumerate(names)}
    texts = {name: [None if text == NO_VALUE else text for text in told] for name, told in values.items()}
    return Folders(tuple(files), texts)


def unescaped(name: str) -> str:
    """Return a part of a folder's name in the form in which Spark reads it."""
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)


def twins(where: str, used: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    """Yield problems of columns whose names differ from used ones in case alone: Spark may take one for the other."""
    names = set(known)
    for name in used:
        others = sorted(other for other in names if other != name and other.lower() == name.lower())
        if others and name in names:
            hint = "rename one of them, or set spark.sql.caseSensitive to true"
            yield Problem(where, f"one column {name!r}, in whichever case", shown([name, *others]), hint)


def doubled(where: str, used: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    """Yield problems of used names that several columns of a file have."""
    counts = Counter(known)
    for name in dict.fromkeys(used):
        if counts[name] > 1:
            yield Problem(where, "each name once", f"{counts[name]} columns {name!r}", "drop or rename all but one")


def two_meanings(side: str, name: str, got: str, path: str) -> Problem:
    """Return the problem of a column that files and folder names tell otherwise."""
    expected = "one meaning: from the files or from folder names, or the same from both"
    hint = f"rename the folders to another column than {name!r}, or write the column to the files as the folders say"
    return Problem(f"{side} column {name!r}", expected, f"{got} {path}".strip(), hint)


def _named(path: str) -> list[tuple[str, str | None]]:
    """Return the names and texts of a file's folders; the text is None for a folder that names no column."""
    found = []
    for part in posixpath.dirname(path).split("/") if "/" in path else []:
        name, equals, text = part.partition("=")
        found.append((unescaped(name), text if equals and name and text else None))
    return found


def _colon(where: str, path: str) -> Problem:
    return Problem(where, "file names without a colon, which Hadoop takes for a scheme's", path, "rename the file")

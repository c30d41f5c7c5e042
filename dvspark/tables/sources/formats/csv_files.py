"""CSV: files of texts; which columns they have, of which types, and that each text is what it seems to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import InputError, Problem, shown
from dvspark.tables.sources.folders import NUMBER, WHOLE, Folders, doubled, twins
from dvspark.tables.sources.listing import listing_of
from dvspark.tables.sources.parts import CsvPart, opened_csv
from dvspark.tables.sources.plain import plain_files
from dvspark.tables.sources.reader import Reader, TableFiles, WholeTable
from dvspark.tables.sources.unreadable import unreadable_file
from dvspark.tables.sources.whole_tables import column_of, told_by, whole_files, with_folders

# Types that numbers in texts may be declared to have, and the Spark type of each.
NUMBERS = {None: "double", "float64": "double", "float32": "float"}
# What some programs write between cells in place of a comma.
SEPARATORS = (";", "\t", "|")
HEADER_BYTES = 2**16
# A text that may be the list of a row's labels, as other tools write it.
LIST = r"(?s)^\s*\[.*\]\s*$"


# What a column's texts may be; a mark stays once a text has set it.
FILLED, NOT_WHOLE, NO_NUMBER, FRACTION, LISTED = "filled", "not whole", "no number", "fraction", "listed"

Marks = set[tuple[str, str]]


@dataclass(frozen=True)
class CsvReader(Reader):
    """Reads comma-separated values, of either engine by Arrow, so that a text is one thing to both."""

    @property
    def bytes_dtype(self) -> str | None:
        """None: numbers in texts have been read in the type that is declared."""
        return None

    def files(self) -> TableFiles:
        """Return the files, all of which have been read once to know what their texts are.

        Raises: InputError with what is wrong with them, NotLocalError.
        """
        seen, folders = plain_files(self)
        paths = [seen.path(name) for name in folders.files]
        types, found = self._columns(paths, folders)
        parts = dict(zip(paths, found, strict=True))
        types |= {name: folders.type_of(name, self.uses) for name in folders.values}
        told = {path: {name: texts[n] for name, texts in folders.values.items()} for n, path in enumerate(paths)}
        listing = listing_of(seen.files)
        return TableFiles(
            types, told, listing.record(), listing, lambda path, _: [parts[path]] if parts[path].n_rows else []
        )

    def _columns(self, paths: Sequence[str], folders: Folders) -> tuple[dict[str, str], list[CsvPart]]:
        """Return the Spark type of each column, and the part of each file; ``folders`` has columns in folder names.

        The embedding is the columns called as it is, with 0, 1, ... (or 1, 2, ...) at their end. Other columns are
        integers if all their texts are, else texts; numbers where numbers are asked for. All files are taken together.
        Cost: one pass over the files. Raises: InputError with what is wrong with them.
        """
        side, reference, where, names = self.side, self.reference, self.where, self.reference.columns()
        header = _header(where, paths)
        used = [name for role, name in names.items() if role != "embedding"]
        numbers = _numbered(side, names["embedding"], header)
        if problems := self._problems(header, used, numbers, folders):
            raise InputError(problems)
        as_number = {name for use, name in self.uses.items() if use in ("target", "weight", "loss")}
        read_as = {name: "double" if name in as_number else "string" for name in used if name in header}
        marks, n_rows = Marks(), [0] * len(paths)
        for place, path in enumerate(paths):
            n_rows[place] = _look(path, read_as, marks)
        if (names["label"], LISTED) in marks:
            expected, got = "one label in each row of a CSV file", "a text that is a list"
            hint = "arrays of labels need Parquet"
            raise InputError(Problem(f"{side} column {names['label']!r}", expected, got, hint))
        kinds = {name: kind if kind == "double" else _kind(name, marks) for name, kind in read_as.items()}
        if kinds.get(reference.id) == "double":  # texts that name a row are what they are
            kinds[reference.id] = "string"
        number = NUMBERS[reference.embedding_dtype]
        unread = set(numbers).union(kinds)
        types = kinds | {name: "string" for name in header if name not in unread}
        if numbers:
            types[names["embedding"]] = f"array<{number}>"
        part = CsvPart("", 0, 0, kinds=tuple(kinds.items()), name=names["embedding"], numbers=numbers, number=number)
        return types, [replace(part, path=path, n_rows=n) for path, n in zip(paths, n_rows, strict=True)]

    def _problems(
        self, header: list[str], used: list[str], numbers: tuple[str, ...], folders: Folders
    ) -> list[Problem]:
        """Return what is wrong with the names of columns, and with the declared type of numbers."""
        embedding, dtype = self.reference.embedding, self.reference.embedding_dtype
        both = [name for name in [*used, *numbers, embedding] if name in header and name in folders.values]
        problems = [_twice(self.side, name) for name in both]
        problems += doubled(self.where, [*used, *numbers], header)
        problems += list(twins(self.where, used, [*header, *folders.values]))
        if dtype not in NUMBERS:
            where, expected = f"{self.side}.embedding_dtype", "float32 or float64, or left out: float64"
            problems.append(Problem(where, expected, str(dtype), f"set {where} to one of them"))
        return problems

    def whole(self) -> WholeTable:
        """Return the cells as texts: an empty cell is null, an empty text in quotes is a text.

        Raises: ConfigError, InputError.
        """
        seen, folders = whole_files(self)
        paths = [seen.path(name) for name in folders.files]
        with told_by(self.where), opened_csv(paths[0], {}) as opened:
            stored = pa.schema([(name, pa.string()) for name in opened.schema.names])
        schema, told = with_folders(self.where, stored, folders, lambda _: pa.string())

        def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
            asked = schema if columns is None else pa.schema([schema.field(name) for name in columns])
            for path, of_file in zip(paths, told, strict=True):
                with opened_csv(path, {}, texts=stored.names) as opened:
                    for batch in opened:
                        if columns is not None:
                            yield pa.RecordBatch.from_arrays(
                                [column_of(batch, f, of_file) for f in asked], schema=asked
                            )
                            continue
                        added = [column_of(batch, field, of_file) for field in list(schema)[len(stored) :]]
                        yield pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)

        files = seen.storage.file_system
        return WholeTable("csv", schema, read, files=tuple(paths), root=seen.storage.root, file_system=files)


def _header(where: str, paths: Sequence[str]) -> list[str]:
    """Return the names of the columns, which all files must have in one order."""
    headers = dict[str, list[str]]()
    for path in paths:
        with _told(path):
            _require_commas(where, path)
            with opened_csv(path, {}) as opened:
                headers[path] = opened.schema.names
    first, header = next(iter(headers.items()))
    for path, other in headers.items():
        if other != header:
            expected, got = f"files with the columns of {first}, in their order", f"{path} with {shown(other[:8])}"
            raise InputError(Problem(where, expected, got, "write the files again, with one header"))
    return header


def _require_commas(where: str, path: str) -> None:
    """Raise InputError for a file whose header has another mark between its cells, and no comma."""
    with pa.input_stream(path, compression="detect") as file:
        header = bytes(file.read(HEADER_BYTES)).split(b"\n", 1)[0].decode(errors="replace").strip()
    mark = next((one for one in SEPARATORS if one in header), None)
    if mark is not None and "," not in header:
        got, hint = f"{path}, whose header has {mark!r}", "write commas between cells, and numbers such as 3.5"
        raise InputError(Problem(where, "a comma between two cells", got, hint))


def _numbered(side: str, name: str, header: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of the embedding in the order of their numbers; none if there are none.

    Raises: InputError for a column of the embedding's own name, and for numbers that lack or repeat some.
    """
    pattern = re.compile(rf"{re.escape(name)}_?([0-9]{{1,9}})")
    found = [(int(match[1]), column) for column in header if (match := pattern.fullmatch(column))]
    where, expected = f"{side} column {name!r}", f"columns {name}_0, {name}_1, ..., with a number in each"
    if name in header:
        hint = "write each number to a column of its own, or the table as Parquet"
        raise InputError(Problem(where, expected, f"a column {name!r} of text", hint))
    numbers, start = sorted(number for number, _ in found), min((number for number, _ in found), default=0)
    if start > 1 or numbers != list(range(start, start + len(numbers))):
        odd = shown(sorted(column for _, column in found)[:8])
        hint = "number the columns from 0 or 1 on, each once"
        raise InputError(Problem(where, expected, f"{len(found)} columns with other numbers, such as {odd}", hint))
    return tuple(column for _, column in sorted(found))


def _look(path: str, kinds: dict[str, str], marks: Marks) -> int:
    """Return how many rows a file has; mark what the texts of its columns are."""
    n_rows = 0
    with _told(path), opened_csv(path, kinds) as opened:
        for batch in opened:
            n_rows += len(batch)
            for name in (name for name, kind in kinds.items() if kind == "string"):
                column = batch.column(name).drop_null()
                is_number = pc.match_substring_regex(column, f"^(?:{NUMBER.pattern}|[Nn][Aa][Nn])$")
                found = {
                    FILLED: len(column) > 0,
                    NOT_WHOLE: not pc.all(pc.match_substring_regex(column, f"^(?:{WHOLE.pattern})$")).as_py(),
                    NO_NUMBER: not pc.all(is_number).as_py(),
                    FRACTION: pc.any(pc.match_substring_regex(column.filter(is_number), "[.eEnN]")).as_py(),
                    LISTED: pc.any(pc.match_substring_regex(column, LIST)).as_py(),
                }
                marks |= {(name, mark) for mark, is_so in found.items() if is_so and len(column)}
    return n_rows


def _kind(name: str, marks: Marks) -> str:
    """Return the type of a column of texts: as in names of folders, 1 is an integer and 01 a word; 1.0 is a number."""
    if (name, FILLED) in marks and (name, NOT_WHOLE) not in marks:
        return "bigint"
    return "double" if (name, FRACTION) in marks and (name, NO_NUMBER) not in marks else "string"


def _twice(side: str, name: str) -> Problem:
    expected, hint = "one meaning: from the files or from folder names", "rename one of them"
    return Problem(f"{side} column {name!r}", expected, "in the files and in folder names", hint)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Raise InputError with the name of a file that cannot be read."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable_file(f"{path}: {error}") from error

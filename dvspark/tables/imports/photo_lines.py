"""Photo lines: YFCC100M's own files with a line a photo, `yfcc100m_autotags` and the metadata `yfcc100m_dataset`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dvspark.errors import InputError, Problem
from dvspark.tables.imports.bad_lines import BadLines
from dvspark.tables.imports.feature_lines import MOST_DIGITS, NO_ID
from dvspark.tables.imports.text_blocks import opened_text, told

# Of text; a block's tags take about four times as much.
BLOCK_BYTES = 2**22
NO_TAB, NO_SCORE, NOT_TEXT = "no tab", "a tag without a score", "text that is not UTF-8"
ID = f"^[0-9]{{1,{MOST_DIGITS}}}$"
# The columns of the metadata that are used, by how many there are: of the files as Yahoo published them first, and
# as the data set has had them since, with a line number first and a hash behind the id.
COLUMNS = {
    23: {"id": 0, "owner": 1, "page": 13, "picture": 14},
    25: {"id": 1, "owner": 3, "page": 15, "picture": 16},
}
TAGS = pa.schema([("id", pa.int64()), ("tags", pa.list_(pa.int32()))])
OWNERS = pa.schema([("id", pa.int64()), ("owner", pa.string()), ("page", pa.string()), ("picture", pa.string())])


@dataclass
class Tags:
    """The tags met so far, each with a number; ``counts``: how many lines have each, with enough of a score."""

    least_score: float
    numbers: dict[str, int] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)

    def most_frequent(self, n_tags: int | None) -> list[str]:
        """Return the tags that most lines have, or all; of equally frequent ones the first in alphabetical order."""
        ordered = sorted(self.numbers, key=lambda tag: (-self.counts[self.numbers[tag]], tag))
        return [tag for tag in ordered if self.counts[self.numbers[tag]]][:n_tags]

    def batches(self, path: Path, bad: BadLines) -> Iterator[pa.RecordBatch]:
        """Yield `TAGS` of the good lines of a file: all its photos, each with the tags whose score is enough.

        A line is an id, a tab, and tag:score with commas between, or nothing. Memory: about five `BLOCK_BYTES`.
        """
        for batch in _rows(path, ["id", "tags"], ["id", "tags"], bad):
            yield self._batch(batch, bad)

    def _batch(self, batch: pa.RecordBatch, bad: BadLines) -> pa.RecordBatch:
        texts = batch.column("tags")
        lists = pc.split_pattern(texts, ",")
        lines, flat = pc.list_parent_indices(lists).to_numpy(), lists.flatten()
        pairs = pc.split_pattern(flat, ":", max_splits=1, reverse=True)
        is_none = pc.equal(texts, "").to_numpy(zero_copy_only=False)[lines]
        is_pair = pc.equal(pc.list_value_length(pairs), 2).to_numpy(zero_copy_only=False)
        pairs = pairs.filter(pa.array(is_pair))
        names, scores = pc.list_element(pairs, 0), _numbers(pc.list_element(pairs, 1))
        is_odd = np.ones(len(flat), np.bool_)
        is_odd[is_pair] = ~np.isfinite(scores) | pc.equal(names, "").to_numpy(zero_copy_only=False)
        odd_lines = np.unique(lines[is_odd & ~is_none])
        for line in odd_lines:
            bad.add(None, NO_SCORE, f"{batch.column('id')[line]}\t{texts[line]}")
        is_good = np.ones(len(batch), np.bool_)
        is_good[odd_lines] = False
        is_kept = (scores >= self.least_score) & is_good[lines[is_pair]]
        kept = pc.dictionary_encode(names.filter(pa.array(is_kept)))
        numbers = np.array([self.numbers.setdefault(tag, len(self.numbers)) for tag in kept.dictionary.to_pylist()])
        codes = numbers.astype(np.int32)[kept.indices.to_numpy()]
        self.counts.update(dict(zip(*map(np.ndarray.tolist, np.unique(codes, return_counts=True)), strict=True)))
        n_tags = np.bincount(lines[is_pair][is_kept], minlength=len(batch))[is_good]
        offsets = np.concatenate([[0], np.cumsum(n_tags)]).astype(np.int32)
        ids = batch.column("id").filter(pa.array(is_good)).cast(pa.int64())
        return pa.record_batch([ids, pa.ListArray.from_arrays(offsets, pa.array(codes))], schema=TAGS)


def owner_batches(path: Path, bad: BadLines) -> Iterator[pa.RecordBatch]:
    """Yield `OWNERS` of the good lines of a metadata file: who took a photo, its page, and the link to its picture.

    Raises: InputError unless the first line has 23 or 25 fields, with tabs between.
    """
    with told(path), opened_text(path) as file:
        n_fields = file.read(2**16).split(b"\n", 1)[0].count(b"\t") + 1
    if n_fields not in COLUMNS:
        expected = f"{' or '.join(map(str, COLUMNS))} fields with tabs between, as in yfcc100m_dataset"
        raise InputError(Problem(str(path), expected, f"{n_fields} in its first line", "give the metadata file"))
    names = [str(place) for place in range(n_fields)]
    for name, place in COLUMNS[n_fields].items():
        names[place] = name
    for batch in _rows(path, names, OWNERS.names, bad):
        columns = [batch.column("id").cast(pa.int64()), *(batch.column(name) for name in OWNERS.names[1:])]
        yield pa.record_batch(columns, schema=OWNERS)


def _rows(path: Path, names: Sequence[str], asked: Sequence[str], bad: BadLines) -> Iterator[pa.RecordBatch]:
    """Yield columns of a file with tabs between fields, as text, of the lines whose id is a whole number."""

    def set_aside(row: Any) -> str:
        if row.actual_columns != 1 or names != ["id", "tags"]:
            bad.add(row.number, f"not {row.expected_columns} fields", f"{row.actual_columns} fields: {row.text}")
        elif not row.text.isdigit():  # an id alone is a photo without tags
            bad.add(row.number, NO_TAB, row.text)
        return "skip"

    options = {
        "read_options": pa.csv.ReadOptions(column_names=list(names), use_threads=False, block_size=BLOCK_BYTES),
        "parse_options": pa.csv.ParseOptions(
            delimiter="\t",
            quote_char=False,
            double_quote=False,
            ignore_empty_lines=False,
            invalid_row_handler=set_aside,
        ),
        "convert_options": pa.csv.ConvertOptions(
            column_types=dict.fromkeys(asked, pa.binary()), include_columns=list(asked), strings_can_be_null=False
        ),
    }
    with told(path), pa.csv.open_csv(opened_text(path), **options) as reader:
        for batch in reader:
            yield _with_ids(_as_text(batch, bad), bad)


def _as_text(batch: pa.RecordBatch, bad: BadLines) -> pa.RecordBatch:
    """Return the rows whose columns are UTF-8, as text; set others aside."""
    schema = pa.schema([(name, pa.string()) for name in batch.schema.names])
    try:
        return batch.cast(schema)
    except pa.ArrowInvalid:
        is_text = [all(map(_is_utf8, row.values())) for row in batch.to_pylist()]
    for place, good in enumerate(is_text):
        if not good:
            bad.add(None, NOT_TEXT, batch.column(0)[place].as_py())
    return batch.filter(pa.array(is_text, pa.bool_())).cast(schema)


def _with_ids(batch: pa.RecordBatch, bad: BadLines) -> pa.RecordBatch:
    has_id = pc.match_substring_regex(batch.column("id"), ID)
    for text in batch.column("id").filter(pc.invert(has_id)).to_pylist():
        bad.add(None, NO_ID, text)
    return batch.filter(has_id)


def _numbers(texts: pa.Array) -> Any:
    """Return texts as numbers, NaN for those that are none."""
    try:
        return texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return np.array([_number(text) for text in texts.to_pylist()])


def _number(text: str) -> float:
    try:
        return float(pa.scalar(text).cast(pa.float64()).as_py())
    except pa.ArrowInvalid:
        return float("nan")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

"""YFCC100M: features in text files, autotags, and owners in the metadata, joined by photo id.

Source: Thomee et al., YFCC100M: The New Data in Multimedia Research, 2016, doi:10.1145/2812802; features: Amato et al.,
YFCC100M-HNfc6: a large-scale deep features benchmark for similarity search, 2016, doi:10.1007/978-3-319-46759-7_15.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import InputError, Problem
from dvspark.schemas import Floats, Int64s
from dvspark.tables.imports.bad_lines import BadLines
from dvspark.tables.imports.feature_lines import feature_rows, n_numbers_of
from dvspark.tables.imports.photo_lines import OWNERS, TAGS, Tags, owner_batches
from dvspark.tables.imports.rows_by_id import TWICE, find_rows, write_rows_by_id
from dvspark.tables.imports.text_blocks import text_blocks
from dvspark.tables.sources.parts import lists

# Files of features in a folder; the number tells their order.
FEATURES = re.compile(r"YFCC100M_hybridCNN_gmean_fc6_(\d+)\.txt(\.gz|\.bz2)?")
# So many numbers are joined at once: looking ids up in all buckets costs as much for few rows as for some thousand.
JOINED_NUMBERS = 2**23
NO_TAG, NO_OWNER = "no tag that counts", "no owner in the metadata"


@dataclass(frozen=True)
class Yfcc100m:
    """The files of YFCC100M, and which tags are labels.

    These are tags with a score of at least ``least_score``, and of them the ``n_tags`` most frequent, or those in
    ``tag_list``; None: all.
    """

    paths: tuple[Path, ...]
    autotags: Path
    metadata: Path | None = None
    least_score: float = 0.5
    n_tags: int | None = None
    tag_list: tuple[str, ...] | None = None

    def settings(self) -> dict[str, Any]:
        """Return all that the rows follow from."""
        beside = [path for path in (self.autotags, self.metadata) if path is not None]
        files = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in beside}
        tags = {"least_score": self.least_score, "n_tags": self.n_tags, "tag_list": self.tag_list}
        return {"format": "yfcc100m", "tags": tags, "beside": files}

    def prepare(self, work: Path, rejected: Path) -> dict[str, Any]:
        """Read autotags and metadata, put them where they are found by id, and choose the tags."""
        n_numbers = n_numbers_of(next(text_blocks(self.paths[0]), b""))
        if n_numbers < 1:
            expected = "lines of an id, a hash and numbers, with tabs between"
            raise InputError(
                Problem(str(self.paths[0]), expected, "others in its first block", "is it the right file?")
            )
        tags, bad = Tags(self.least_score), BadLines(self.autotags.name)
        summary: dict[str, Any] = {"n_numbers": n_numbers}
        summary["photos_with_tags"] = write_rows_by_id(work / "tags", TAGS, tags.batches(self.autotags, bad), bad)
        bad.write(rejected / "autotags.parquet")
        summary["bad_lines"] = {self.autotags.name: dict(bad.counts)}
        if self.metadata is not None:
            bad = BadLines(self.metadata.name)
            owners = write_rows_by_id(work / "owners", OWNERS, owner_batches(self.metadata, bad), bad)
            bad.write(rejected / "metadata.parquet")
            summary |= {"photos_with_owners": owners}
            summary["bad_lines"] |= {self.metadata.name: dict(bad.counts)}
        chosen = tags.most_frequent(self.n_tags) if self.tag_list is None else list(self.tag_list)
        known = [tag for tag in chosen if tag in tags.numbers]
        if not known:
            expected, hint = "tags that some photo has", "check the spelling of the tags, and the least score"
            raise InputError(Problem(str(self.autotags), expected, f"none of {len(chosen)}", hint))
        summary["tags"] = {tag: tags.counts[tags.numbers[tag]] for tag in known}
        is_chosen = set(known)
        names = [tag if tag in is_chosen else None for tag in tags.numbers]
        return {"n_numbers": n_numbers, "names": names, "summary": summary}

    def schema(self, told: dict[str, Any]) -> pa.Schema:  # noqa: ARG002 - others follow from their files
        """Return id, embedding and label; with metadata also owner, page and picture."""
        columns = [("id", pa.int64()), ("embedding", pa.list_(pa.float32())), ("label", pa.list_(pa.string()))]
        owned = [] if self.metadata is None else [OWNERS.field(name) for name in OWNERS.names[1:]]
        return pa.schema([*columns, *owned])

    def batches(
        self, number: int, work: Path, told: dict[str, Any], bad: BadLines, left_out: Counter[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file of features that have a tag and, with metadata, an owner.

        Memory: a few blocks of text, `JOINED_NUMBERS` numbers twice, and some 100 bytes for each id of the file.
        """
        names, schema = pa.array(told["names"], pa.string()), self.schema(told)
        for ids, x in self._features(self.paths[number], told["n_numbers"], bad):
            found, is_found = find_rows(work / "tags", TAGS, ids)
            label = pa.nulls(0, pa.list_(pa.string())) if not len(found) else _named(found["tags"], names)
            has_tag = np.zeros(len(ids), np.bool_)
            has_tag[is_found] = pc.greater(pc.list_value_length(label), 0).to_numpy(zero_copy_only=False)
            left_out[NO_TAG] += int(np.count_nonzero(~has_tag))
            kept, columns = has_tag, list[pa.Array]()
            if self.metadata is not None:
                owners, is_owned = find_rows(work / "owners", OWNERS, ids)
                is_owned[is_owned] = pc.not_equal(owners["owner"], "").to_numpy()
                left_out[NO_OWNER] += int(np.count_nonzero(has_tag & ~is_owned))
                kept = has_tag & is_owned
                rows = owners.filter(pc.not_equal(owners["owner"], "")).filter(pa.array(kept[is_owned]))
                columns = [rows[name].combine_chunks() for name in OWNERS.names[1:]]
            if kept.any():
                labels = label.filter(pa.array(kept[is_found]))
                yield pa.record_batch([pa.array(ids[kept]), lists(x[kept]), labels, *columns], schema=schema)

    def _features(self, path: Path, n_numbers: int, bad: BadLines) -> Iterator[tuple[Int64s, Floats]]:
        """Yield ids and numbers of the good lines of a file, some thousand at a time, each id once."""
        line, waiting, n_waiting, seen = 1, list[tuple[Int64s, Floats]](), 0, set[int]()
        for text in text_blocks(path):
            ids, x = feature_rows(text, line, n_numbers, bad)
            line += text.count(b"\n")
            is_new = np.array([_is_new(one, seen, bad) for one in ids.tolist()], np.bool_)
            waiting.append((ids, x) if is_new.all() else (ids[is_new], x[is_new]))
            n_waiting += len(ids)
            if n_waiting * n_numbers >= JOINED_NUMBERS:
                yield _joined(waiting)
                waiting, n_waiting = [], 0
        if waiting:
            yield _joined(waiting)


def feature_files(place: Path) -> tuple[Path, ...]:
    """Return a file of features, or those in a folder, in the order of their numbers. Raises: InputError for none."""
    if not place.is_dir():
        return (place,)
    found = [(int(match[1]), path) for path in place.iterdir() if (match := FEATURES.fullmatch(path.name))]
    if not found:
        expected, hint = "files YFCC100M_hybridCNN_gmean_fc6_*.txt.gz", "give their folder, or one such file"
        raise InputError(Problem(str(place), expected, "none of that name", hint))
    return tuple(path for _, path in sorted(found))


def _joined(waiting: list[tuple[Int64s, Floats]]) -> tuple[Int64s, Floats]:
    ids, x = zip(*waiting, strict=True)
    return np.concatenate(ids), np.concatenate(x)


def _named(tags: pa.ChunkedArray, names: pa.Array) -> pa.Array:
    """Return lists of tags as words, without those that were not chosen."""
    column = tags.combine_chunks()
    words = names.take(column.flatten())
    is_kept = words.is_valid()
    lines = pc.list_parent_indices(column).filter(is_kept).to_numpy()
    ends = np.cumsum(np.bincount(lines, minlength=len(column)))
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return pa.ListArray.from_arrays(offsets, words.filter(is_kept))


def _is_new(one: int, seen: set[int], bad: BadLines) -> bool:
    if one in seen:
        bad.add(None, TWICE, str(one))
        return False
    seen.add(one)
    return True

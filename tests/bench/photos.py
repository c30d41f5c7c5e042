"""Files in the formats of YFCC100M, of any size: random photos whose numbers tell something of their tags."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

N_PIECES = 16
# Different texts for each piece of a row; a row takes one of each, so rows differ, and no number is written twice.
N_TEXTS = 256
N_KINDS = 32
# How often a photo has its kind's text for a piece.
OWN_SHARE = 0.3
FIRST_ID = 5_000_000_000
ROWS_AT_ONCE = 500


def write_photos(folder: Path, n_files: int, n_rows: int, n_numbers: int) -> int:
    """Write features, autotags and metadata, and return how many bytes of text the features have.

    Time: half a minute for a gigabyte of text, most of it to compress it.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    texts = piece_texts(rng, n_numbers)
    own = rng.integers(0, N_TEXTS, (N_KINDS, N_PIECES))
    n_bytes = 0
    with (
        bz2.open(folder / "yfcc100m_autotags.bz2", "wb", 1) as tags,
        bz2.open(folder / "yfcc100m_dataset.bz2", "wb", 1) as owners,
    ):
        for number in range(n_files):
            packer = zlib.compressobj(1, wbits=31)
            with (folder / f"YFCC100M_hybridCNN_gmean_fc6_{number}.txt.gz").open("wb") as file:
                for first in range(0, n_rows, ROWS_AT_ONCE):
                    ids = FIRST_ID + number * n_rows + np.arange(first, min(first + ROWS_AT_ONCE, n_rows))
                    kinds = rng.integers(0, N_KINDS, len(ids))
                    text = b"".join(_lines(rng, texts, own, ids, kinds))
                    n_bytes += len(text)
                    file.write(packer.compress(text))
                    tags.write(b"".join(_tags(rng, one, kind) for one, kind in zip(ids, kinds, strict=True)))
                    owners.write(b"".join(_owner(rng, one) for one in ids))
                file.write(packer.flush())
    return n_bytes


def piece_texts(rng: np.random.Generator, n_numbers: int, share_of_zeros: float = 0.0) -> list[list[bytes]]:
    """Return for each piece of a row `N_TEXTS` texts of numbers, with tabs between, as short as float32 can be."""
    each = n_numbers // N_PIECES
    x = rng.standard_normal((N_PIECES, N_TEXTS, each)).astype(np.float32)
    x[rng.random(x.shape) < share_of_zeros] = 0
    return [["\t".join(map(str, row)).encode() for row in piece] for piece in x]


def _lines(
    rng: np.random.Generator, texts: list[list[bytes]], own: np.ndarray, ids: np.ndarray, kinds: np.ndarray
) -> Iterator[bytes]:
    drawn = rng.integers(0, N_TEXTS, (len(ids), N_PIECES))
    drawn = np.where(rng.random(drawn.shape) < OWN_SHARE, own[kinds], drawn)
    for one, row in zip(ids.tolist(), drawn.tolist(), strict=True):
        numbers = b"\t".join([texts[piece][number] for piece, number in enumerate(row)])
        yield b"%d\t%032x\t%s\n" % (one, one, numbers)


def _tags(rng: np.random.Generator, one: int, kind: int) -> bytes:
    """Return a photo's line of tags: that of its kind, and a few others."""
    others = rng.integers(0, N_KINDS, int(rng.integers(0, 3)))
    names = dict.fromkeys([kind, *others.tolist()])
    return b"%d\t%s\n" % (one, b",".join(b"tag%02d:%.3f" % (name, rng.uniform(0.5, 1)) for name in names))


def _owner(rng: np.random.Generator, one: int) -> bytes:
    owner = b"%d@N00" % rng.integers(10_000_000, 10_010_000)
    links = b"http://www.flickr.com/photos/%s/%d/\thttp://farm1.staticflickr.com/1/%d_0.jpg" % (owner, one, one)
    between = b"nick\t2012-02-16 09:56:37.0\t1331840483\tCanon\tIMG\tDescription\ttag\t\t1.5\t2.5\t16"
    return b"%d\t%d\t%032x\t%s\t%s\t%s\tAttribution\thttp://cc\t1\t2\tabc\tdef\tjpg\t0\n" % (
        one - FIRST_ID,
        one,
        one,
        owner,
        between,
        links,
    )

"""Files in the formats of YFCC100M, made of random photos, with what a reader must find in them."""

from __future__ import annotations

import bz2
import gzip
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# As in YFCC100M, most photos have few tags, and some tags are on many photos.
TAG_NAMES = (
    "outdoor",
    "indoor",
    "face",
    "people",
    "nature",
    "blackandwhite",
    "architecture",
    "vehicle",
    "animal",
    "food",
)


@dataclass
class Photos:
    """What the files say: by photo id."""

    x: dict[int, np.ndarray] = field(default_factory=dict)
    tags: dict[int, dict[str, float]] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)


def make_files(folder: Path, n_files: int, n_rows: int, n_numbers: int, seed: int = 0) -> Photos:
    """Write features, autotags and metadata to a folder; of photos without features, too, in another order."""
    rng, photos = np.random.default_rng(seed), Photos()
    folder.mkdir(parents=True, exist_ok=True)
    # Ids of Flickr have up to 11 digits.
    ids = rng.choice(14_000_000_000, size=n_files * n_rows + 50, replace=False)
    for number in range(n_files):
        mine = ids[number * n_rows : (number + 1) * n_rows]
        x = np.maximum(rng.standard_normal((n_rows, n_numbers)), 0).astype(np.float32)
        photos.x |= dict(zip(mine.tolist(), x, strict=True))
        write_features(folder / f"YFCC100M_hybridCNN_gmean_fc6_{number}.txt.gz", mine, x)
    for one in rng.permutation(ids).tolist():
        names = rng.choice(TAG_NAMES, size=rng.integers(0, 4), replace=False, p=np.arange(10, 0, -1) / 55)
        photos.tags[one] = {str(name): round(float(rng.uniform(0.5, 1)), 3) for name in names}
        photos.owners[one] = f"{rng.integers(10**7, 10**8)}@N{rng.integers(0, 9):02}"
    write_autotags(folder / "yfcc100m_autotags.bz2", photos)
    lines = (metadata_line(number, one, owner) for number, (one, owner) in enumerate(photos.owners.items()))
    (folder / "yfcc100m_dataset.bz2").write_bytes(bz2.compress("".join(lines).encode()))
    return photos


def write_features(path: Path, ids: np.ndarray, x: np.ndarray) -> None:
    """Write lines of id, hash and numbers, as short as they say which float32 is meant."""
    lines = ["\t".join([str(one), f"{one:032x}", *map(str, row)]) for one, row in zip(ids.tolist(), x, strict=True)]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


def write_autotags(path: Path, photos: Photos) -> None:
    """Write lines of id, tab, and tag:score with commas between."""
    lines = [
        f"{one}\t{','.join(f'{name}:{score}' for name, score in tags.items())}\n" for one, tags in photos.tags.items()
    ]
    path.write_bytes(bz2.compress("".join(lines).encode()))


def metadata_line(number: int, one: int, owner: str, *, n_fields: int = 25) -> str:
    """Return a line of the metadata: 25 fields, or the 23 of the first edition."""
    page = f"http://www.flickr.com/photos/{owner}/{one}/"
    picture = f"http://farm1.staticflickr.com/1/{one}_0.jpg"
    texts = ["nick", "2012-02-16 09:56:37.0", "1331840483", "Canon", "IMG", 'a "quoted" text', "tag", "", "1.5", "2.5"]
    rest = ["16", page, picture, "Attribution", "http://cc", "1", "2", "abc", "def", "jpg", "0"]
    head = [str(number), str(one), f"{one:032x}"] if n_fields == 25 else [str(one)]
    return "\t".join([*head, owner, *texts, *rest]) + "\n"

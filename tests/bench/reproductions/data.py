"""The data sets: those of the article from a folder, and public ones that anyone has or can make."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dvspark.evaluate.labeled import LabeledRows

# The article's names of the sets, by what the names of files begin with.
PAPER_SETS = {
    "2dplanes": "2dplanes",
    "Click": "Click",
    "CreditCardFraud": "Fraud",
    "cpu": "CPU",
    "default-of-credit": "Creditcard",
    "phoneme": "phoneme",
    "pol": "pol",
    "wind": "wind",
}
SEED = 0


def paper_sets(folder: Path) -> Iterator[tuple[str, LabeledRows]]:
    """Yield name and rows of each set in a folder of .npz files with X (n, n_features) and y (n,)."""
    for path in sorted(folder.glob("*.npz")):
        stem = path.stem.removeprefix("tknn_")
        names = [name for begins, name in PAPER_SETS.items() if stem.startswith(begins)]
        with np.load(path) as found:
            yield (names or [stem])[0], LabeledRows.of(stem, found["X"].astype(np.float64), found["y"])


def public_sets(
    fashion: Path | None, wordnet: Path | None, wordllama: Path | None
) -> Iterator[tuple[str, LabeledRows]]:
    """Yield the public sets: digits and 2dplanes always, Fashion-MNIST and WordNet where their folders are given."""
    from sklearn.datasets import load_digits

    yield "digits", LabeledRows.of("digits", *load_digits(return_X_y=True))
    yield "2dplanes, generated", two_d_planes(5_000)
    if fashion is not None:
        yield "Fashion-MNIST", fashion_mnist(fashion)
    if wordnet is not None and wordllama is not None:
        yield "WordNet glosses", wordnet_glosses(wordnet, wordllama)


def two_d_planes(n: int) -> LabeledRows:
    """Return rows of Breiman's two planes, with the class whether the target is above its mean.

    Source: Breiman, Friedman, Olshen & Stone, Classification and regression trees, 1984, section 8.5.
    """
    draw = np.random.default_rng(SEED)
    x = draw.integers(-1, 2, (n, 10)).astype(np.float64)
    x[:, 0] = 2 * draw.integers(0, 2, n) - 1
    first = 3 + 3 * x[:, 1] + 2 * x[:, 2] + x[:, 3]
    second = -3 + 3 * x[:, 4] + 2 * x[:, 5] + x[:, 6]
    target = np.where(x[:, 0] == 1, first, second) + draw.normal(0, np.sqrt(2), n)
    return LabeledRows(x, (target > target.mean()).astype(int))


def fashion_mnist(folder: Path, side: str = "t10k") -> LabeledRows:
    """Return the images of Debian's package dataset-fashion-mnist, 784 numbers from 0 to 1 each.

    ``side``: t10k, the 10,000 test images, or train, the 60,000 training images.
    """
    images = gzip.decompress((folder / f"{side}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{side}-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255.0
    return LabeledRows(x, np.frombuffer(labels, np.uint8, offset=8).astype(int))


def wordnet_glosses(wordnet: Path, wordllama: Path) -> LabeledRows:
    """Return the glosses of nouns of Debian's package wordnet-base, labeled by their lexicographer file.

    A gloss is the mean of its words' rows in the token table that PyPI's wordllama has, of length 1. Words that are not
    a token are left out, and so are glosses of fewer than three tokens and files of fewer than 500 glosses.
    """
    tokens = json.loads((wordllama / "tokenizers" / "l2_supercat_tokenizer_config.json").read_text())["model"]["vocab"]
    table = _safetensors(wordllama / "weights" / "l2_supercat_256.safetensors")
    x, y = [], []
    for line in (wordnet / "data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        words = re.findall(r"[a-z]+", line.partition("|")[2].lower())
        places = [tokens["▁" + word] for word in words if "▁" + word in tokens]
        if len(places) >= 3:
            x.append(table[places].mean(axis=0))
            y.append(int(line.split(" ", 2)[1]))
    labels, matrix = np.array(y), np.array(x)
    counts = np.bincount(labels)
    many = counts[labels] >= 500
    return LabeledRows(matrix[many] / np.linalg.norm(matrix[many], axis=1, keepdims=True), labels[many])


def _safetensors(path: Path) -> np.ndarray:
    """Return the one matrix in a file of half or single precision numbers."""
    content = path.read_bytes()
    n_head = int.from_bytes(content[:8], "little")
    (about,) = (one for name, one in json.loads(content[8 : 8 + n_head]).items() if name != "__metadata__")
    start, end = (8 + n_head + place for place in about["data_offsets"])
    kinds = {"F16": "<f2", "F32": "<f4"}
    return np.frombuffer(content[start:end], kinds[about["dtype"]]).reshape(about["shape"]).astype(np.float64)

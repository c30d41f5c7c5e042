"""The parameter `index`: how near rows are found, exactly or by a FAISS index, and checks of this parameter."""

from __future__ import annotations

import re
from typing import Any

from dvspark.errors import ConfigError, Problem, written
from dvspark.extras import import_extra
from dvspark.methods.parameters import Words
from dvspark.schemas import EXACT

INDEX = Words(
    "index", "how near rows are found: exact, or a FAISS factory string such as IVF1024,SQ8 (extra `ann`)", EXACT
)

# The dimension is not known before the tables are read. A string that is invalid is so in every dimension.
ANY_DIMENSION = 64
NOT_PARSED = "could not parse"
# FAISS makes room for all lists at once, so a number of so many digits, surely a slip, would take all memory.
LONGEST_NUMBER = 7

# k-means of fewer rows a list says little, and FAISS complains; codes by quantizers have 256 values, or more.
ROWS_PER_CENTROID = 39
QUANTIZERS = ("PQ", "RQ", "LSQ")
QUANTIZER_CENTROIDS = 256

# FAISS does not tell the size of a graph: rows as float32, and links, which take 272 bytes under HNSW32.
LINK_BYTES = 512

HINT = "see the index factory in FAISS's documentation: 'HNSW32', 'IVF1024,SQ8', 'IVF256,Flat'; or index='exact'"


def faiss_module() -> Any:
    """Return the FAISS module. Raises: ConfigError if it is not installed."""
    where, instead = "parameter 'index'", ", or leave index out"
    return import_extra("faiss", "ann", where, "the package faiss-cpu", "it is not installed", instead)


def factory_problems(index: str | None) -> list[Problem]:
    """Return why a factory string makes no index for any table; None stands for left out."""
    if index is None or index == EXACT:
        return []
    if re.search(rf"\d{{{LONGEST_NUMBER + 1}}}", index):
        return [Problem("parameter 'index'", f"numbers of up to {LONGEST_NUMBER} digits", written(index), HINT)]
    try:
        new_index(index, ANY_DIMENSION, "euclidean")
    except ConfigError as error:
        # Whatever else FAISS minds, if it is there, may hang on the dimension or the metric.
        return [p for p in error.problems if NOT_PARSED in p.got or p.hint != HINT]
    return []


def table_problems(index: str, metric: str, n_features: int, n_train: int) -> list[Problem]:
    """Return why a factory string makes no index for a table of ``n_train`` rows of ``n_features``."""
    if index == EXACT:
        return []
    try:
        needed = rows_to_train(new_index(index, n_features, metric), index)
    except ConfigError as error:
        return list(error.problems)
    if n_train >= needed:
        return []
    hint = f"take fewer lists; among {n_train} rows index='exact' is fast"
    return [Problem("parameter 'index'", f"{needed} training rows or more for {index!r}", str(n_train), hint)]


def search_bytes(index: str, metric: str, n_features: int) -> int:
    """Return about how many bytes an approximate index takes for each row; 0 if it is exact or cannot be made."""
    if index == EXACT:
        return 0
    try:
        return int(new_index(index, n_features, metric).sa_code_size()) + 8  # and the row's number
    except RuntimeError:
        return 4 * n_features + LINK_BYTES
    except ConfigError:
        return 0


def rows_to_train(index: Any, factory: str) -> int:
    """Return how many rows a new FAISS index needs: ROWS_PER_CENTROID for each centroid that it learns; often 1."""
    if index.is_trained:
        return 1
    lists = faiss_module().try_extract_index_ivf(index)
    n_lists = 1 if lists is None else int(lists.nlist)
    n_codes = QUANTIZER_CENTROIDS if any(name in factory for name in QUANTIZERS) else 1
    return ROWS_PER_CENTROID * max(n_lists, n_codes)


def new_index(factory: str, n_features: int, metric: str) -> Any:
    """Return an empty FAISS index. Cosine becomes Euclidean distance between unit rows, which all FAISS indexes know.

    Raises: ConfigError with what FAISS says about the factory string.
    """
    faiss = faiss_module()
    kind = faiss.METRIC_INNER_PRODUCT if metric == "inner_product" else faiss.METRIC_L2
    try:
        return faiss.index_factory(n_features, factory, kind)
    except RuntimeError as error:
        said = re.sub(r"^Error in .* at \S+:\d+: ", "", str(error).strip(), flags=re.DOTALL)
        expected = f"a FAISS factory string for {n_features} features and metric {metric}"
        raise ConfigError(Problem("parameter 'index'", expected, f"{factory!r}: {said}", HINT)) from error

"""Tables that cross a stage or are published: each column with its type and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

# Version of published tables and records.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark DDL, or ``{id}``, ``{label}`` or ``{owner}`` for the type in the input.

    ``unit`` is that of the numbers, of a column that is published; "" where they have none.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """A table that crosses a stage."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    def ddl(self, **types: str) -> str:
        """Return the Spark DDL string, with the types of the input filled in."""
        return ", ".join(f"`{c.name}` {c.type.format(**types)}" for c in self.columns)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]


ROWS = Table(
    "rows",
    "train or validation rows after reading: three columns under fixed names, owner where there is one",
    (
        Column("id", "{id}", "string or bigint; unique; decides ties"),
        Column("embedding", "{embedding}", "array<float>, array<double>, or binary of float32 little-endian"),
        Column("label", "{label}", "string, bigint, or an array of either (multi-label)"),
    ),
)
TALLY = Table(
    "tally",
    "what one batch of rows looked like to the checks",
    (
        Column("aspect", "string", "name of a problem, or `dimension`"),
        Column("detail", "string", "what it concerns: the dimension; of all rows, the sum of their hashes"),
        Column("n_rows", "bigint", "rows counted"),
        Column("ids", "array<string>", "the first five ids"),
        Column("keys", "binary", "of all rows, where few enough: an Arrow IPC stream without the embeddings"),
    ),
)
PACKED_ROWS = Table(
    "packed_rows",
    "train rows on their way into the index: one row a batch of them, in id order",
    (
        Column("n_rows", "int", "train rows in this batch"),
        Column("x", "binary", "their embeddings, row by row, dtype of the index, little-endian"),
        Column("keys", "binary", "Arrow IPC stream of their id, label and owner"),
    ),
)
PIECES = Table(
    "pieces",
    "packed train rows that a task has written to a file, instead of handing them on",
    (
        Column("name", "string", "the file's name"),
        Column("sha256", "string", "of its content"),
    ),
)
PLACES = Table(
    "places",
    "train rows that a task has written into the index",
    (Column("place", "bigint", "the row's place in id order"),),
)
PARTIALS = Table(
    "partials",
    "one chunk's sums for one block of train rows",
    (
        Column("train_block", "int", "block of train rows, from 0, of engine.reduce.BLOCK_ROWS rows"),
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("n_validation", "bigint", "validation rows of the chunk"),
        Column("utility", "double", "sum of U(N) over them"),
        Column("empty_utility", "double", "sum of U(∅) over them"),
        Column("error_bound", "double", "sum of their certificates: how far a value may be from the exact one"),
        Column("n_alone", "bigint", "how many of them have no neighbor within the radius"),
        Column("size", "double", "sum of the largest |U| they can have"),
        Column("widest", "binary", "float64: certificate, chunk and place in it of the points with the widest ones"),
        Column("value", "binary", "float64 little-endian: sum of values over them, one a train row"),
        Column("value_squared", "binary", "the same of their squared differences from their mean"),
        Column("row_bounds", "binary", "the same of the certificates row by row; null unless asked for"),
    ),
)
TOTALS = Table(
    "totals",
    "the partials of a wave added up in a tree of their places: one row a block of train rows",
    (
        Column("train_block", "int", "block of train rows"),
        Column("chunk_ids", "array<int>", "the chunks in it, ascending"),
        *PARTIALS.columns[2:],
        Column("sketches", "binary", "a few numbers of each chunk's partial: (n_chunks, n) float64"),
    ),
)
VALUES = Table(
    "values",
    "the result, one row a train row; stored under run_id=… , from which readers take `run_id`",
    (
        Column("run_id", "string", "the run that computed it; readers take it from the folder's name"),
        Column("id", "{id}", "the training row; the owner, where owners are valued"),
        Column("value", "double", "its value, mean (or sum) over the validation rows", "utility"),
        Column(
            "standard_error", "double", "of the value over validation rows, or draws; null if there is one", "utility"
        ),
        Column("rank", "bigint", "place by value, 1 is the highest value; equal values in id order"),
        Column("label", "{label}", "its label; null for an owner"),
    ),
)
OWNER = Column("owner", "{owner}", "its owner, if the input has owners")
ERROR_BOUND = Column(
    "error_bound", "double", "how far its value may be from the exact one; if asked for, or promised", "utility"
)
OWN_CLASS_VALUE = Column(
    "own_class_value", "double", "the part of its value that validation rows of its own label give it", "utility"
)
OTHER_CLASS_VALUE = Column(
    "other_class_value", "double", "the part that validation rows of other labels give it; both add up to it", "utility"
)
BY_TASK = Table(
    "by_task",
    "values by task, one row a task and train row; stored under run_id=… , from which readers take `run_id`",
    (
        Column("task", "{task}", "the task, such as a buyer or a month"),
        VALUES.columns[1],
        Column("value", "double", "its value by the validation rows of the task alone, mean or sum", "utility"),
        Column("standard_error", "double", "of the value over these rows; null if there is one", "utility"),
        Column("rank", "bigint", "place by value within the task, 1 is the highest value; equal values in id order"),
        VALUES.columns[5],
    ),
)
OWNED = Column("owned", "boolean", "whether the row is owned already: it plays, but gets no value")
REJECTED = Table(
    "rejected",
    "rows left out under on_bad_row: reject",
    (
        Column("side", "string", "train or validation"),
        Column("id", "string", "the row's id as text, null if it had none"),
        Column("reason", "string", "every problem of the row"),
    ),
)
PACKED_KEYS = Table("packed_keys", "the same without embeddings", PACKED_ROWS.columns[2:])
CHUNK_SIZES = Table(
    "chunk_sizes",
    "validation rows of each chunk in one batch of them",
    (Column("chunk_id", "int", "the chunk"), Column("n_rows", "bigint", "its rows here")),
)
NEIGHBOR_COUNTS = Table(
    "neighbor_counts",
    "how many train rows are within the radius of each validation row",
    (
        Column("id", "{id}", "the validation row"),
        Column("n_matches", "bigint", "train rows within the radius that share a label with it"),
        Column("n_others", "bigint", "the other train rows within the radius"),
    ),
)
GRADIENT_SUMS = Table(
    "gradient_sums",
    "what one task, or all of them, added up of the gradients of one game, exact: see kernels.exact_sums",
    (
        Column("by", "{label}", "the class whose rows are one game; 0 where all rows are"),
        Column("part", "string", "rows: their number; total: their sum; squares: the sum of their squared lengths"),
        Column("level", "int", "the unit is 2^(24 level)"),
        Column("counts", "binary", "int64 little-endian: units, one a number of the sum"),
    ),
)
GRADIENT_VALUES = Table(
    "gradient_values",
    "the values of gradients, one row a row that was given",
    (
        Column("id", "{id}", "the row"),
        Column("by", "{label}", "the class whose rows are one game; only where one was given"),
        Column("value", "double", "its share of the game's utility"),
    ),
)
VALIDATION_ROWS = Table(
    "validation_rows",
    "the validation rows of a run; stored under run_id=…, for runs that add some or take some away",
    (
        Column("id", "{id}", "the validation row"),
        Column("row_hash", "bigint", "Spark's xxhash64 of its id, embedding and label"),
    ),
)
NEIGHBORS = Table(
    "neighbors",
    "the validation rows nearest to some train rows, for the report",
    (
        Column("train_row", "bigint", "position of the train row in id order"),
        Column("distance", "double", "in the run's metric"),
        Column("validation_id", "string", "id of the validation row as text"),
        Column("validation_label", "{label}", "its label"),
    ),
)


@dataclass(frozen=True)
class Contributors:
    """The column that `functions.top_contributors` gives: rows with the highest and the lowest values for a point."""

    ddl: str = field(default="array<struct<id: {id}, value: double>>")

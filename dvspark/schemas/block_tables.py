"""Tables of the sharded plan: blocks of train rows, and what they say about validation rows."""

from __future__ import annotations

from dvspark.schemas.tables import PARTIALS, Column, Table

BLOCKS = Table(
    "blocks",
    "the blocks of train rows that tasks have written",
    (
        Column("block", "int", "number of the block, from 0, in id order"),
        Column("folder", "string", "name of the folder with its files"),
        Column("n_bytes", "bigint", "size of the files"),
    ),
)
DAMAGE = Table(
    "damage",
    "what is wrong with the files of a block of train rows",
    (
        Column("block", "int", "number of the block"),
        Column("damaged", "array<string>", "names of files that are missing or not what was written"),
    ),
)
PARTS = Table(
    "parts",
    "what one block of train rows has to say about one validation row; arrays are binary, little-endian",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("point", "int", "place of the validation row in its chunk"),
        Column("block", "int", "block of train rows"),
        Column("train_row", "bigint", "the train row that sits out the game, null unless it is self-validation"),
        Column("target", "double", "the number to predict, null unless it is regression"),
        Column("counts", "binary", "int64: matching and other neighbors as published, null unless they are"),
        Column("keys", "binary", "float32, one a train row; float64 under precision float64"),
        Column("matches", "binary", "a bit a train row: does it share a label"),
    ),
)
BINNED_PARTS = Table(
    "binned_parts",
    "what one block of train rows has to say about one validation row whose rows it has put into bins",
    (
        *PARTS.columns[:3],
        Column("codes", "string", "file of the codes (bin and match) of the block's rows; null: no bins, nothing else"),
        Column("line", "int", "which of the file's lines is the point's"),
        Column("counts", "string", "file whose same line has the number of rows of each code"),
        Column("near_rows", "binary", "int32: rows of the block before the bins, ascending"),
        Column("near_keys", "binary", "float32: their keys"),
        Column("near_matches", "binary", "a bit a near row: does it share a label"),
        Column("linked", "binary", "a bit a bin: is it too narrow to tell its rows from those of the next one"),
        Column("low", "double", "up to which float32 key rows are near"),
        Column("limit", "double", "how close float32 keys may be there for their order to be in doubt"),
    ),
)
POINT_VALUES = Table(
    "point_values",
    "what the rows of one block get from one validation row",
    (
        *BINNED_PARTS.columns[:5],
        Column("tables", "string", "file of values by code, and certificates; null where bins do not serve the point"),
        Column("table_line", "int", "which of the file's lines is the point's"),
        Column("near_rows", "binary", "int32: rows of the block before the bins, ascending"),
        Column("near_values", "binary", "float64: their values"),
        Column("utility", "double", "U(N)"),
        Column("empty_utility", "double", "U(∅)"),
        Column("error_bound", "double", "the certificate"),
    ),
)
BLOCK_SUMS = Table(
    "block_sums",
    "one chunk's sums for the rows of one block",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("block", "int", "block of train rows"),
        Column("failed", "array<int>", "places in the chunk of validation rows that bins do not serve, not summed"),
        *PARTIALS.columns[2:],
    ),
)
NEAR_PARTS = Table(
    "near_parts",
    "the rows of one block that may be among the nearest of one validation row; arrays are binary, little-endian",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("point", "int", "place of the validation row in its chunk"),
        Column("block", "int", "block of train rows"),
        Column("n_matches", "bigint", "rows of the block that share a label with it and play"),
        Column("rows", "binary", "int64: places of the near rows in the whole table"),
        Column("keys", "binary", "float64: their exact keys"),
        Column("matches", "binary", "a bit a near row: does it share a label"),
    ),
)
NEAR_VALUED = Table(
    "near_valued",
    "a chunk whose values are in a file beside it",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("file", "string", "name of the file with what rows get"),
        *PARTIALS.columns[2:9],
    ),
)
COUNTS = Table(
    "counts",
    "how many rows of one block of train rows are within the radius of each row of a chunk",
    (
        Column("chunk_id", "int", "chunk of validation rows"),
        Column("block", "int", "block of train rows"),
        Column("counts", "binary", "int64, two a validation row: neighbors that match it, and others"),
    ),
)

"""The words of `dvspark import`: what each format needs, and what it may have."""

from __future__ import annotations

from dvspark.cli.command import Command, Option

# The options that each format needs, and those that it may have.
_OF_ALL_IMPORTS = ("--validation-share", "--seed", "--workers", "--json")
IMPORTS = {
    "yfcc100m": (
        ("--features", "--autotags", "--output"),
        ("--metadata", "--min-score", "--tags", "--tag-list", *_OF_ALL_IMPORTS),
    ),
    "table": (
        ("--from", "--output"),
        ("--format", "--id", "--embedding", "--label", "--owner", "--keep", *_OF_ALL_IMPORTS),
    ),
    "npy": (
        ("--folder", "--label", "--output"),
        ("--embeddings", "--metadata", "--id", "--owner", "--keep", *_OF_ALL_IMPORTS),
    ),
}

IMPORT = Command(
    "import",
    "make training and validation tables from files of other tools",
    ("dvspark.cli.importing", "run"),
    (
        "dvspark import yfcc100m --features PLACE --autotags FILE --output FOLDER [...]",
        "dvspark import npy --folder FOLDER --label COLUMN --output FOLDER [...]",
        "dvspark import table --from PLACE [--format NAME] --output FOLDER [...]",
    ),
    about="Rows go to FOLDER/train and FOLDER/validation, in Parquet, and bad lines to FOLDER/rejected. An import that "
    "was stopped goes on where it was when you give the same command again.",
    options=(
        Option("--features", "yfcc100m: YFCC100M_hybridCNN_gmean_fc6_*.txt.gz, one file or their folder", "PLACE"),
        Option("--autotags", "yfcc100m: yfcc100m_autotags.bz2", "FILE"),
        Option(
            "--metadata",
            "yfcc100m: yfcc100m_dataset, for owners and links; npy: a folder, metadata if left out",
            "PLACE",
        ),
        Option("--min-score", "yfcc100m: the least score with which a tag counts", "SCORE", "0.5"),
        Option("--tags", "yfcc100m: take the N most frequent tags; all if left out", "N"),
        Option("--tag-list", "yfcc100m: take the tags in a file, one a line", "FILE"),
        Option("--from", "table: a file or folder", "PLACE"),
        Option("--format", "table: parquet, delta, iceberg or lance; parquet if left out", "NAME"),
        Option("--embedding", "table: column of embeddings; embedding if left out", "COLUMN"),
        Option("--folder", "npy: the folder of the shards", "FOLDER"),
        Option("--embeddings", "npy: a folder of .npy files; img_emb or text_emb if left out", "FOLDER"),
        Option("--id", "column of ids; id if left out, for npy places among all rows, from 0", "COLUMN"),
        Option("--label", "column of labels; label if left out, needed for npy", "COLUMN"),
        Option("--owner", "npy, table: column of owners", "COLUMN"),
        Option("--keep", "npy, table: further columns, with commas between", "A,B"),
        Option("--output", "folder for the tables, where nothing is yet", "FOLDER"),
        Option("--validation-share", "which share of the rows is for validation, chosen by id", "SHARE", "0.01"),
        Option("--seed", "another seed chooses other rows for validation", "N", "0"),
        Option("--workers", "how many files are read at a time, by a process each", "N", "1"),
        Option("--json", "print the result as one line of JSON"),
    ),
    examples=(
        "dvspark import yfcc100m --features features --autotags yfcc100m_autotags.bz2 --tags 100 --output tables",
        "dvspark import npy --folder embeddings --id key --label caption --output tables",
    ),
    operands=("FORMAT",),
)
VALUE_OF_IMPORT = {option.name: option.values for option in IMPORT.options}

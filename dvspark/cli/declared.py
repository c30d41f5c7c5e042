"""The commands as they are declared: what each is for, and what may be written after it; help and completion follow."""

from __future__ import annotations

from dvspark.cli.command import Command, Option
from dvspark.cli.import_words import IMPORT

__all__ = ["CHANGES", "COMMANDS", "JSON", "QUESTIONS", "SETTINGS_USAGE", "SHELLS", "TABLES", "Command", "Option"]

# Those that completion is for.
SHELLS = ("bash", "zsh", "fish")

JSON = Option("--json", "print the result as one line of JSON")
CHANGES = (
    Option("--add-validation", "add the validation rows in TABLE to those of a published run", "TABLE RUN"),
    Option("--remove-validation", "take the validation rows in TABLE away from those of a published run", "TABLE RUN"),
)
# What `dvspark evaluate` asks.
QUESTIONS = {
    "detect": "are spoiled rows the ones with the lowest values?",
    "removal": "do models get better without the rows of lowest value?",
    "membership": "does the value of a copy tell whether a row is in the table?",
    "stability": "do rows rank alike in another run, by other k, methods and validation rows?",
    "compare": "all of these in one table and one figure, with time.",
    "subsets": "how well does a head train on a share of the rows, by how the share is chosen?",
}
TABLE_OPTIONS = (
    Option("--train", "training rows: file or folder", "TABLE"),
    Option("--validation", "validation rows: file or folder", "TABLE"),
    Option("--format", "format of both tables: parquet, csv, delta or iceberg", "NAME", "parquet"),
    Option("--id", "column of ids", "NAME", "id"),
    Option("--embedding", "column of embeddings", "NAME", "embedding"),
    Option(
        "--embedding-dtype",
        "numbers in embeddings that are bytes: float16, float32 or float64; left out: float32, if sure",
        "NAME",
    ),
    Option("--label", "column of labels, one a row", "NAME", "label"),
)
TRAINING_OPTIONS = (
    Option("--epochs", "epochs in which a head is trained on chosen rows", "N", "60"),
    Option("--every", "rows are chosen again after so many epochs", "N", "20"),
    Option("--batch-rows", "rows of a step", "N", "128"),
    Option("--learning-rate", "size of steps, which falls to 0", "NUMBER", "1"),
)
SETTINGS_USAGE = "[CONFIG.yaml] [--section.key VALUE ...] [--json]"
TABLES = "--train train.parquet --validation validation.parquet --output results"

_ALL = (
    Command(
        "value",
        "value training rows, and publish the values",
        ("dvspark.cli.commands", "run_value"),
        (
            f"dvspark value {SETTINGS_USAGE}",
            "dvspark value --add-validation TABLE RUN [--section.key VALUE ...]",
            "dvspark value --remove-validation TABLE RUN [--section.key VALUE ...]",
        ),
        about="RUN is a run id, or the folder OUTPUT/runs/RUN_ID.",
        options=(JSON, *CHANGES),
        examples=(
            f"dvspark value {TABLES} --metric cosine --k 10",
            "dvspark value --train train.parquet --self_validation true --output results",
            "dvspark value value.yaml --k 5",
        ),
        takes_settings=True,
    ),
    Command(
        "review",
        "value training rows, and decide for each: keep, relabel, drop or check",
        ("dvspark.cli.commands", "run_review"),
        (f"dvspark review {SETTINGS_USAGE}",),
        about="It takes the options of `dvspark value`. Without a validation table, training rows are compared with "
        "each other.",
        options=(JSON,),
        examples=(
            "dvspark review --train train.parquet --output results",
            f"dvspark review {TABLES}",
        ),
        takes_settings=True,
    ),
    Command(
        "clean",
        "write the training table as a review decided: rows dropped, labels replaced",
        ("dvspark.cli.clean", "run"),
        (
            "dvspark clean RUN --output FOLDER [--decisions FILE.csv] [--dry-run]",
            "dvspark clean RUN --output FOLDER --sets",
        ),
        about="RUN is OUTPUT/runs/RUN_ID of a reviewed run, or OUTPUT for the run that was published last. FOLDER gets "
        "the table in its format, the table as it was, and a log of all changes.",
        options=(
            Option("--output", "folder for the table, where nothing is yet", "FOLDER"),
            Option("--decisions", "decisions in place of the review's: columns id, decision, suggested_label", "FILE"),
            Option("--dry-run", "tell what would change; write nothing"),
            Option("--sets", "write the table as it is, with the set of copies of each row in column duplicate_set"),
        ),
        examples=("dvspark clean results/runs/RUN_ID --output cleaned --dry-run",),
        operands=("RUN",),
    ),
    Command(
        "plan",
        "tell what a job would take in memory and time; write nothing",
        ("dvspark.cli.commands", "run_plan"),
        (f"dvspark plan {SETTINGS_USAGE}",),
        about="It takes the options of `dvspark value`.",
        options=(JSON,),
        examples=("dvspark plan value.yaml --host_memory 64g",),
        takes_settings=True,
    ),
    Command(
        "stream",
        "value again whenever validation rows arrive",
        ("dvspark.cli.commands", "run_stream"),
        (f"dvspark stream {SETTINGS_USAGE}",),
        options=(JSON,),
        examples=("dvspark stream value.yaml --run_id feed --stream.available_now true",),
        takes_settings=True,
    ),
    Command(
        "demo",
        "value a real sample that ships with dvspark",
        ("dvspark.cli.commands", "run_demo"),
        ("dvspark demo [--output FOLDER]",),
        options=(Option("--output", "folder for the results", "FOLDER", "demo-output"),),
    ),
    Command(
        "report",
        "write the report of a published run again, or against another run",
        ("dvspark.cli.report", "run"),
        ("dvspark report RUN [--against RUN] [--show COLUMN] [--to FILE] [--force]",),
        about="RUN is OUTPUT/runs/RUN_ID, or OUTPUT for the run that was published last. FILE is report-RUN_ID.html if "
        "left out. No row is valued again.",
        options=(
            Option("--against", "show what rose, fell, appeared and is gone since that run", "RUN"),
            Option("--show", "column of the training table to show: texts, links, or pictures as bytes", "COLUMN"),
            Option("--to", "the file to write", "FILE"),
            Option("--force", "overwrite a file that is there"),
        ),
        examples=("dvspark report results --against results/runs/before",),
        operands=("RUN",),
    ),
    Command(
        "evaluate",
        "tell how well values do what they are for, on your own rows",
        ("dvspark.cli.evaluate", "run"),
        (f"dvspark evaluate {'|'.join(QUESTIONS)} [--train TABLE --validation TABLE] [...]",),
        about=" ".join(f"{name}: {asks}" for name, asks in QUESTIONS.items()) + " Without tables it takes the demo's. "
        "All rows are held in the memory of one process. Models need the extra `models`.",
        options=(
            *TABLE_OPTIONS,
            Option(
                "--methods",
                "METHOD or METHOD:OPTION=VALUE:..., with commas between",
                "A,B",
                "knn_shapley,soft_knn_shapley,threshold_knn_shapley",
            ),
            Option("--criteria", "subsets: how rows are chosen, with commas between; all if left out", "A,B"),
            Option("--shares", "subsets: shares of the rows that are chosen", "A,B", "0.05,0.1,0.3,0.5,0.7"),
            *TRAINING_OPTIONS,
            Option("--k", "k of all methods that have one", "N", "10"),
            Option("--metric", "euclidean, cosine or inner_product; without tables cosine, else euclidean", "NAME"),
            Option("--protocol", "how rows are drawn and spoiled: plain or threshold-knn-2023", "NAME", "plain"),
            Option("--spoil", "what is spoiled: labels or features", "WHAT", "labels"),
            Option(
                "--share",
                "share of training rows that are spoiled; if left out 0 for removal and subsets, else 0.1",
                "SHARE",
            ),
            Option("--noise", "noise in features, in standard deviations (plain) or lengths of columns", "SIZE", "1"),
            Option("--seeds", "how many trials, each with a seed of its own", "N", "3"),
            Option("--output", "folder for JSON, CSV and a figure; never overwritten", "FOLDER"),
            Option("--json", "print the result as one line of JSON"),
        ),
        examples=(
            "dvspark evaluate detect",
            "dvspark evaluate compare --train train.parquet --validation validation.parquet --output evaluation",
            "dvspark evaluate removal --methods knn_shapley,knn_shapley:k=1 --seeds 5",
        ),
        operands=("QUESTION",),
    ),
    Command(
        "pay",
        "split a budget by the values of a published run",
        ("dvspark.cli.pay", "run"),
        ("dvspark pay RUN --budget AMOUNT [--by owner] [--task NAME] [--negative WORD] [--decimals N] [--to PATH]",),
        about="RUN is OUTPUT/runs/RUN_ID, or OUTPUT for the run that was published last, or a CSV or Parquet file with "
        "columns id and value. The payouts add up to the budget exactly; they go to PATH.csv and PATH.parquet, where "
        "nothing may be yet. PATH is payouts-RUN_ID if left out, with --task payouts-RUN_ID-NAME.",
        options=(
            Option("--budget", "the amount of money that is paid; needed", "AMOUNT"),
            Option("--by", "owner: pay owners, whose rows' values are added up", "owner"),
            Option("--task", "a task of the run, such as a buyer: pay by its validation rows alone", "NAME"),
            Option("--negative", "what a negative value does", "pays-nothing|owes", "pays-nothing"),
            Option("--decimals", "decimals of a unit: 2 pays in cents, 0 in whole amounts", "N", "2"),
            Option("--to", "where the payouts go, without .csv", "PATH"),
        ),
        examples=("dvspark pay results --budget 10000", "dvspark pay results/runs/offer --budget 9999.99 --by owner"),
        operands=("RUN",),
    ),
    Command(
        "select",
        "select the rows of a published run that a budget should keep",
        ("dvspark.cli.select", "run"),
        (
            "dvspark select RUN --rows N | --share SHARE [--by GROUP] [--to PATH]",
            "dvspark select RUN --budget AMOUNT --costs FILE [--cost-column NAME] [--by GROUP] [--to PATH]",
            "dvspark select --method NAME --train TABLE --share SHARE [--validation TABLE] [--to PATH] [...]",
        ),
        about="RUN is OUTPUT/runs/RUN_ID, or OUTPUT for the run that was published last, or a CSV or Parquet file with "
        "columns id, label and value. The rows go to PATH.csv and PATH.parquet with weights for training; nothing may "
        "be there yet. PATH is selection-RUN_ID if left out. With --method, rows are chosen while a softmax head "
        "trains on those chosen so far, by chg (CHG-Shapley), hardness, gradient, glister, grad_match, adaptive_random "
        "or random.",
        options=(
            Option("--rows", "how many rows to keep", "N"),
            Option("--share", "which share of the rows to keep", "SHARE"),
            Option("--budget", "what the rows may cost together", "AMOUNT"),
            Option("--costs", "a CSV or Parquet file with the cost of each id", "FILE"),
            Option("--cost-column", "its column of costs", "NAME", "cost"),
            Option("--by", "keep rows of each label, or of each owner, in proportion", "label|owner"),
            Option("--to", "where the rows go, without .csv", "PATH"),
            Option("--method", "choose rows while a head trains on them, by this criterion", "NAME"),
            *TABLE_OPTIONS,
            *TRAINING_OPTIONS,
            Option("--seed", "deals rows to steps", "N", "0"),
        ),
        examples=(
            "dvspark select results --share 0.5 --by label",
            "dvspark select --method chg --train train.parquet --share 0.3",
            "dvspark select results --budget 500 --costs prices.csv --by owner",
        ),
        operands=("RUN",),
    ),
    Command(
        "methods",
        "list the methods, or tell what one is for and what it takes",
        ("dvspark.cli.methods_text", "run"),
        ("dvspark methods [METHOD]",),
        examples=("dvspark methods knn_shapley",),
        operands=("METHOD",),
    ),
    IMPORT,
    Command(
        "init",
        "write a settings file in which each setting is explained",
        ("dvspark.cli.init", "run"),
        ("dvspark init [PATH] [--force]",),
        about="PATH is value.yaml if left out.",
        options=(Option("--force", "overwrite a file that is there"),),
        examples=("dvspark init jobs/value.yaml",),
        operands=("PATH",),
    ),
    Command(
        "warm",
        "make later starts of Spark on this machine faster",
        ("dvspark.cli.warm", "run"),
        ("dvspark warm",),
        about="It runs a job of a few rows on Spark, keeps the classes that Java has loaded in ~/.cache/dvspark, and "
        "compiles loops. Run it again after you install another Java or Spark; until then, jobs start as if it had not "
        "been run.",
    ),
    Command(
        "pack",
        "write the package as a zip for spark-submit, or the whole environment",
        ("dvspark.cli.pack", "run"),
        ("dvspark pack [PATH] [--environment] [--force]",),
        about="PATH is dvspark.zip, or environment.tar.gz, if left out. The zip is for --py-files. The environment is "
        "for --archives: it has the Python program, dvspark, and the installed packages that dvspark needs or can use, "
        "without Spark, Java and Python's standard library. The demo's data is in neither.",
        options=(
            Option("--environment", "write the environment in which this command runs"),
            Option("--force", "overwrite a file that is there"),
        ),
        examples=("dvspark pack dvspark.zip", "dvspark pack --environment environment.tar.gz"),
        operands=("PATH",),
    ),
    Command(
        "completion",
        "print a script for completion in bash, zsh or fish",
        ("dvspark.cli.completion", "run"),
        (f"dvspark completion {'|'.join(SHELLS)}",),
        examples=(
            'source <(dvspark completion bash)   # in ~/.bashrc: eval "$(dvspark completion bash)"',
            "source <(dvspark completion zsh)    # in ~/.zshrc, after compinit",
            "dvspark completion fish > ~/.config/fish/completions/dvspark.fish",
        ),
        operands=("SHELL",),
    ),
)
COMMANDS = {command.name: command for command in _ALL}

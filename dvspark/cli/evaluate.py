"""`dvspark evaluate`: does it help? Spoils, removes or guesses rows of a person's own tables, and tells how well."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dvspark import demo
from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS, QUESTIONS
from dvspark.cli.labeled_tables import read_labeled
from dvspark.cli.words import number_of, own_words, whole_of
from dvspark.cli.writing import write_together
from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.evaluate.compare import compare
from dvspark.evaluate.contenders import Contender, contenders_of
from dvspark.evaluate.detect import detect
from dvspark.evaluate.evaluation import Evaluation
from dvspark.evaluate.figure import figure_if_possible
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.membership import membership
from dvspark.evaluate.protocols import PLAIN, Protocol
from dvspark.evaluate.removal import removal
from dvspark.evaluate.stability import stability
from dvspark.evaluate.subsets import subsets
from dvspark.host.locks import folder_lock
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.review.review_rows import EQUAL_WITHIN
from dvspark.subsets import CRITERIA, SubsetTraining

METRIC_OF_DEMO = "cosine"
SUBSETS = "subsets"


def run(words: Sequence[str]) -> int:
    """Evaluate methods, print what was found, and write it where asked.

    Raises: ConfigError for unusable words, InputError for unusable tables, OutputConflictError for a folder that has
    something in it.
    """
    declared = COMMANDS["evaluate"]
    operands, given = own_words(declared, words)
    problems = choice_problems("dvspark evaluate", operands[0], list(QUESTIONS)) if operands else [_no_question()]
    if ("--train" in given) != ("--validation" in given):
        problems.append(Problem("tables", "--train and --validation", "one of them", "leave both out for the demo's"))
    if problems:
        raise ConfigError(problems)
    options = {one.name: one.default for one in declared.options if one.default is not None} | given
    is_demo = "--train" not in options
    metric = options.get("--metric", METRIC_OF_DEMO if is_demo else "euclidean")
    common = {"k": whole_of("--k", options), "metric": metric}
    is_of_subsets = operands[0] == SUBSETS
    contenders = [] if is_of_subsets else contenders_of(options["--methods"].split(","), common)
    protocol, seeds = _protocol(operands[0], options), whole_of("--seeds", options)
    paths = {side: options.get(f"--{side}") or str(demo.DATA / f"{side}.parquet") for side in ("train", "validation")}
    with _new_folder(options["--output"]) if "--output" in options else nullcontext() as folder:
        train, validation = (rows for _, rows in read_labeled(paths, options).values())
        if is_of_subsets:
            found = _of_subsets(train, validation, options, protocol, protocol.seeds(seeds))
        else:
            found = _evaluated(operands[0], train, validation, contenders, (protocol, protocol.seeds(seeds)), metric)
        found.settings["tables"] = {side: str(path) for side, path in paths.items()} if not is_demo else "the demo's"
        _tell(found, folder, as_json="--json" in options)
    return 0


def _evaluated(
    asked: str,
    train: LabeledRows,
    validation: LabeledRows,
    contenders: list[Contender],
    trials: tuple[Protocol, list[int]],
    metric: str,
) -> Evaluation:
    protocol, seeds = trials
    if asked == "membership":
        return membership(train, validation, contenders, seeds=seeds)
    if asked == "stability":
        return stability(train, validation, contenders, seeds=seeds)
    spoiling: dict[str, Any] = {"protocol": protocol, "seeds": seeds}
    if asked == "removal":
        # A review compares rows by distance, and is left out where there is none.
        review_metric = metric if metric in EQUAL_WITHIN else None
        return removal(train, validation, contenders, review_metric=review_metric, **spoiling)
    return {"detect": detect, "compare": compare}[asked](train, validation, contenders, **spoiling)


def _of_subsets(
    train: LabeledRows, validation: LabeledRows, options: dict[str, str], protocol: Protocol, seeds: list[int]
) -> Evaluation:
    training = SubsetTraining(
        epochs=whole_of("--epochs", options),
        every=whole_of("--every", options),
        batch_rows=whole_of("--batch-rows", options),
        learning_rate=number_of("--learning-rate", options["--learning-rate"]),
    )
    criteria = options["--criteria"].split(",") if "--criteria" in options else [*CRITERIA]
    shares = [number_of("--shares", one) for one in options["--shares"].split(",")]
    given: dict[str, Any] = {"protocol": protocol, "seeds": seeds, "shares": shares, "training": training}
    return subsets(train, validation, criteria, **given)


def _no_question() -> Problem:
    return Problem("dvspark evaluate", f"QUESTION: {', '.join(QUESTIONS)}", "none", "such as dvspark evaluate detect")


def _protocol(asked: str, options: dict[str, str]) -> Protocol:
    """Return the protocol; without --share, `removal` and `subsets` take rows as they are, others spoil every tenth.

    Raises: ConfigError for one that is not usable.
    """
    default = "0" if asked in ("removal", SUBSETS) else "0.1"
    share, noise = number_of("--share", options.get("--share", default)), number_of("--noise", options["--noise"])
    protocol = Protocol(options.get("--protocol", PLAIN), options["--spoil"], share, noise)
    if problems := protocol.problems():
        raise ConfigError([Problem(f"--{one.where}", one.expected, one.got, one.hint) for one in problems])
    return protocol


@contextmanager
def _new_folder(path: str) -> Iterator[Path]:
    """Yield the folder for the results, which is made; one with something in it is left alone.

    Meanwhile no other evaluation takes it, so that none is refused when it is done.
    Raises: OutputConflictError if it has something in it, or another evaluation will put something there; ConfigError
    if it cannot be made.
    """
    folder, hint = Path(path), "give another path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder_lock(folder)
        taken = next(folder.iterdir(), None)
    except OSError as error:
        got = error.strerror or str(error)
        raise ConfigError(Problem("--output", "a folder that can be made", got, hint)) from None
    if lock is None:
        got = "one that another evaluation will put its results in"
        raise OutputConflictError(Problem("--output", "an empty folder", got, hint))
    with lock:
        if taken is not None:
            raise OutputConflictError(Problem("--output", "an empty folder", f"{taken.name} in it", hint))
        yield folder


def _tell(found: Evaluation, folder: Path | None, *, as_json: bool) -> None:
    lines = [found.text()]
    if folder is not None:
        drawn, note = figure_if_possible(found)
        write_together({folder / name: content for name, content in {**found.files(), **drawn}.items()})
        lines += [f"note: {note}"] if note else []
        lines += [f"wrote {visible(str(folder))}"]
    tell(f"{json.dumps(found.plain()) if as_json else chr(10).join(lines)}\n")

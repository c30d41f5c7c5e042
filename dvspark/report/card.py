"""The run record as lines to read: what was computed, on which data, in which way, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dvspark.report.text import count, significant
from dvspark.units import show_bytes, show_count

# What becomes of rows in a change of a run.
CHANGED = {"add": "added", "remove": "taken away"}


@dataclass(frozen=True)
class Fact:
    """One line of the run card: its name, what it says, and a note in small print."""

    name: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class StageLine:
    """One stage of the run; ``share`` of the time of all stages, in [0, 1]."""

    name: str
    seconds: float
    share: float
    n_rows: int | None


@dataclass(frozen=True)
class Warned:
    """A warning of the run: where, what was expected, what was found, what to do."""

    where: str
    expected: str
    got: str
    hint: str


@dataclass(frozen=True)
class RunCard:
    """The run record, arranged for reading; every part may be empty."""

    run_id: str
    created: str
    version: str
    method: str
    aggregate: str
    self_validation: bool
    facts: tuple[Fact, ...]
    stages: tuple[StageLine, ...]
    total_seconds: float
    warnings: tuple[Warned, ...]
    environment: tuple[Fact, ...]


def run_card(run: Mapping[str, Any]) -> RunCard:
    """Return the run record arranged for reading; entries that it lacks are left out."""
    stages = _stages(_list(run, "stages"))
    return RunCard(
        run_id=_text(run.get("run_id")),
        created=_text(run.get("created")).replace("T", " ").replace("Z", " UTC"),
        version=_text(run.get("dvspark_version")),
        method=_text(_dict(run, "method").get("name")),
        aggregate=_text(run.get("aggregate")) or "mean",
        self_validation=bool(run.get("self_validation", False)),
        facts=tuple(fact for fact in _facts(run) if fact.text),
        stages=stages,
        total_seconds=sum(stage.seconds for stage in stages),
        warnings=tuple(_warned(warning) for warning in _list(run, "warnings")),
        environment=tuple(
            Fact(str(name), _text(text)) for name, text in _dict(run, "environment").items() if text is not None
        ),
    )


def _facts(run: Mapping[str, Any]) -> Iterator[Fact]:
    method, inputs, outputs = _dict(run, "method"), _dict(run, "inputs"), _dict(run, "outputs")
    yield Fact("Method", _text(method.get("name")), _text(method.get("reference")))
    yield Fact("Parameters", _parameters(_dict(method, "parameters")))
    yield _table_fact("Training rows", _dict(inputs, "train"))
    yield _table_fact("Validation rows", _dict(inputs, "validation"))
    yield _parent_fact(run, inputs.get("n_validation"))
    yield Fact("Features", _count(inputs.get("n_features")))
    yield Fact("Classes", _count(inputs.get("n_classes")), _text(inputs.get("n_classes_source")))
    yield Fact("Metric", _text(run.get("metric")))
    yield Fact("Precision", _text(run.get("precision")))
    yield Fact("Ties", _text(run.get("ties")))
    bound = run.get("error_bound")
    parts = [f"no value is off by more than {significant(bound, 2)}" if bound else ""]
    parts += ["each row's own bound is in the column error_bound" if run.get("row_bounds") else ""]
    if run.get("ranking") is not None or "ranking" not in run:
        yield Fact("Ranking", _text(run.get("ranking")), "; ".join(part for part in parts if part))
    yield from _game_facts(_dict(run, "game"), bound)
    yield Fact("Aggregate", _text(run.get("aggregate")), "over the validation points")
    if run.get("self_validation"):
        yield Fact("Self-validation", "yes", "each row is left out of its own game")
    yield _plan_fact(_dict(run, "plan"))
    yield Fact("dvspark", _text(run.get("dvspark_version")))
    yield Fact("Values table", _text(outputs.get("values")))


def _game_facts(game: Mapping[str, Any], bound: Any) -> Iterator[Fact]:
    """Yield how a game was played; nothing of a run that played none."""
    if not game:
        return
    ends = [significant(float(game[name]), 4) for name in ("utility_of_all", "utility_of_none")]
    yield Fact("Utility", _text(game.get("utility")), f"U(N) = {ends[0]}, U(∅) = {ends[1]}")
    parts = [
        f"{_count(game.get('n_cache_hits'))} of them known before" if game.get("n_cache_hits") else "",
        f"{_plural(game.get('n_draws'), 'draw')} of seed {game.get('seed')}" if game.get("n_draws") is not None else "",
        f"until {_text(game.get('stopped_by')).replace('_', ' ')}",
        f"no value is off by more than {significant(bound, 2)}, with a chance of 1 - delta" if bound else "",
        f"biased: {game['biased']}" if game.get("biased") else "",
    ]
    yield Fact("Evaluations", _count(game.get("n_evaluations")), "; ".join(part for part in parts if part))


def _table_fact(name: str, table: Mapping[str, Any]) -> Fact:
    rejected = table.get("n_rejected")
    parts = [_text(table.get("reference")), f"{_count(rejected)} rejected" if rejected else ""]
    return Fact(name, _count(table.get("n_rows")), " · ".join(part for part in parts if part))


def _parent_fact(run: Mapping[str, Any], n_after: Any) -> Fact:
    """Return what became of the validation rows of the run that this one changed; no text if there is none."""
    parent = _dict(run, "parent")
    n_changed, change = parent.get("n_rows"), parent.get("change")
    if change not in CHANGED or not isinstance(n_changed, int) or not isinstance(n_after, int):
        return Fact("Changed run", _text(parent.get("run_id")))
    n_before = n_after - n_changed if change == "add" else n_after + n_changed
    told = (
        f"{show_count(n_before, 'validation row')} before, {count(n_changed)} {CHANGED[change]}, {count(n_after)} now"
    )
    return Fact("Changed run", _text(parent.get("run_id")), told)


def _plan_fact(plan: Mapping[str, Any]) -> Fact:
    parts = [
        _plural(plan.get("n_chunks"), "chunk"),
        f"index of {show_bytes(plan['index_bytes'])}" if plan.get("index_bytes") else "",
        _text(plan.get("reason")),
    ]
    return Fact("Plan", _text(plan.get("name")), " · ".join(part for part in parts if part))


def _stages(stages: Sequence[Any]) -> tuple[StageLine, ...]:
    known = [stage for stage in stages if isinstance(stage, Mapping)]
    spent = [float(stage.get("seconds") or 0) for stage in known]
    total = sum(spent) or 1.0
    return tuple(
        StageLine(_text(stage.get("stage")), taken, taken / total, stage.get("rows"))
        for stage, taken in zip(known, spent, strict=True)
    )


def _warned(warning: Any) -> Warned:
    if not isinstance(warning, Mapping):
        return Warned("", "", _text(warning), "")
    return Warned(*(_text(warning.get(name)) for name in ("where", "expected", "got", "hint")))


def _parameters(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_text(value)}" for name, value in parameters.items())


def _plural(number: Any, noun: str) -> str:
    return show_count(number, noun) if isinstance(number, int) else ""


def _count(number: Any) -> str:
    return count(number) if isinstance(number, int) else _text(number)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _dict(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = record.get(key)
    return part if isinstance(part, Mapping) else {}


def _list(record: Mapping[str, Any], key: str) -> Sequence[Any]:
    part = record.get(key)
    return part if isinstance(part, (list, tuple)) else ()

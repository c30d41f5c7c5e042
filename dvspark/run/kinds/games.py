"""Games: what `games` methods need before rows are valued, the values from coalitions, and their audit."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dvspark.audit import checks
from dvspark.audit.games import check_ranges, check_worths
from dvspark.engine.by_workers.played import ask_by, play_by
from dvspark.engine.engines import Index
from dvspark.engine.games.game_ledger import GameLedger
from dvspark.engine.games.on_spark import ask_on, play_on
from dvspark.engine.games.range_notes import RangeNotes, range_sketch
from dvspark.engine.games.ranges import GameWork
from dvspark.engine.games.table_utility import TableUtility
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.planning.cluster import read_hosts
from dvspark.errors import OutputConflictError
from dvspark.games.playing import PlayRanges, play, require_budget
from dvspark.games.totals import Totals
from dvspark.games.utilities.named import name_of
from dvspark.games.utility import Ends, Probe
from dvspark.local.session import LocalSession
from dvspark.logs import Stage, log_event
from dvspark.methods.kinds.games import GamesMethod, Outcome
from dvspark.methods.options import ValueOptions
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Bools, Finding, Float64s, Partial

if TYPE_CHECKING:
    from dvspark.local.session import Session

# One range in so many is played again, but at most MOST_RANGES: one of permutations of 1,000 rows has 31,968 worths.
RANGES_A_SAMPLE = 16
MOST_RANGES = 4


@dataclass(frozen=True)
class TableGame:
    """A game of both tables that tasks of the ``session`` can play; ``ends`` are known."""

    method: GamesMethod
    utility: TableUtility
    n_players: int
    ends: Ends
    session: Session

    @property
    def given(self) -> Mapping[str, Any]:
        """The parameters by name, with defaults filled in."""
        return self.utility.given

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""
        name = name_of(self.given["utility"])
        return f"{name}, {self.n_players:,} players, U(N) = {self.ends.all:.6g}, U(∅) = {self.ends.none:.6g}"

    @cached_property
    def work(self) -> GameWork:
        """What a task must know to play a range."""
        return self.utility.work(self.n_players, self.ends)

    def play_ranges(self) -> PlayRanges:
        """Return what plays ranges by the workers or tasks of the session."""
        if isinstance(self.session, LocalSession):
            return play_by(self.session.workers, self.utility, self.work)
        return play_on(self.session, self.work)

    def value(self, ledger: Ledger | None, stage: Stage) -> PlayedGame:
        """Return the values. The totals of ranges are kept in the ledger as they grow, if there is one.

        Raises: ConfigError if utilities are farther apart than was stated, ComputeError where the utility fails.
        """
        estimator, rules = self.work.estimator, self.method.rules_of(self.given["evaluations"], self.given)
        begun, kept = Totals.of_ends(estimator.n_moments, self.n_players, self.ends), None
        notes = RangeNotes()
        if ledger is not None:
            kept = GameLedger.of(ledger.files, self.work, rules, f"{ledger.folder}/game.arrow", ledger.require_own)
            begun = _gone_on(kept, self.n_players, rules.evaluations) or begun
            notes = kept.notes
        n_tasks, what = read_hosts(self.session, None).n_tasks, "starting workers, making the utility"
        at_once = n_tasks * estimator.range_draws * estimator.draw_cost
        report = stage.expect(begun.n_asked, rules.evaluations, at_once, what, "evaluations")

        def keep(totals: Totals) -> None:
            report(totals.n_asked, rules.evaluations)
            if kept is not None:
                kept.keep(totals, estimator.range_draws)

        played = play(estimator, rules, self.ends, begun, notes.noted(self.play_ranges()), keep)
        outcome = self.method.outcome(estimator, self.ends, rules, played, self.method.biased(self.given))
        return PlayedGame(self, outcome, notes)


@dataclass(frozen=True)
class PlayedGame:
    """A game that was played: its ``outcome``, and the ``notes`` of its ranges."""

    game: TableGame
    outcome: Outcome
    notes: RangeNotes

    @cached_property
    def totals(self) -> Partial:
        """The values as the partial of one game."""
        return self.outcome.partial()

    @property
    def n_validation(self) -> int:
        """How many validation rows the values rest on."""
        return self.game.utility.validation.n_train

    @property
    def standard_errors(self) -> Float64s:
        """The standard error of each value."""
        return self.outcome.estimate.standard_errors

    @property
    def note(self) -> str:
        """What the log says of the stage."""
        played = self.outcome.played
        return f"{played.totals.n_asked:,} evaluations, {played.totals.n_draws:,} draws, until {played.stopped_by}"

    def findings(self, values: Float64s) -> list[Finding]:
        """Return the audit's findings: worths asked for again, ranges played again, and the axiom.

        Worths are asked for by a call, each alone, also where players joined one by one. The axiom is checked against
        U(N) and U(∅) that were asked for again.
        """
        ends = self.game.ends
        n = self.game.n_players
        probes = [Probe(np.full(n, worth == "all"), getattr(ends, worth)) for worth in ("all", "none")]
        probes += self.notes.probes.values()
        again = [row["worth"] for row in asked(self.game.session, self.game.utility, [one.joined for one in probes])]
        found = [
            checks.check_finite(values),
            check_worths([one.worth for one in probes], again, self.totals.size),
            *self._ranges_findings(),
        ]
        if self.game.method.efficient:
            totals = Partial(values, values, 1, again[0], again[1], size=self.totals.size)
            found.append(checks.check_efficiency(values, totals, "mean"))
        if self.outcome.biased:
            found.append(Finding("biased", "warn", 1.0, 0.0, self.outcome.biased))
        return found

    def _ranges_findings(self) -> list[Finding]:
        """Return whether a sample of ranges, played again, are what they were.

        It is drawn anew each time. Where every range is a good part of the game, worths are all that is asked again.
        """
        drawn = self.notes.drawn
        n_again = min(MOST_RANGES, max(len(drawn) // RANGES_A_SAMPLE, int(not self.notes.probes)), len(drawn))
        numbers = sorted(secrets.SystemRandom().sample(sorted(drawn), n_again))
        if not numbers:
            return []
        stretches = [drawn[number] for number in numbers]
        # One at a time, since the last range of a game may be a shorter stretch than the others.
        again = [totals for one in stretches for totals in self.game.play_ranges()([one])]
        pairs = [(self.notes.sketches[number], range_sketch(one)) for number, one in zip(numbers, again, strict=True)]
        return [check_ranges(pairs, len(drawn))]

    def record(self) -> dict[str, Any]:
        """Return what the run record tells of the game. A utility that fails ends a run, so no failure is in values."""
        totals, ends = self.outcome.played.totals, self.game.ends
        return {
            "game": {
                "utility": name_of(self.game.given["utility"]),
                "seed": self.game.given["seed"],
                "n_players": self.game.n_players,
                "n_evaluations": totals.n_asked,
                "n_cache_hits": totals.n_asked - totals.n_calls,
                "n_failures": 0,
                "n_draws": totals.n_draws,
                "stopped_by": self.outcome.played.stopped_by,
                "utility_of_all": ends.all,
                "utility_of_none": ends.none,
                "biased": self.outcome.biased,
            }
        }


def settled(
    method: GamesMethod, given: Mapping[str, Any], options: ValueOptions, session: Session, tables: tuple[Index, Index]
) -> TableGame:
    """Return the game of training and validation rows, whose ends are asked for.

    Raises: ConfigError for too small a budget, or a utility that cannot be made; ComputeError where it fails.
    """
    train, validation = map(whole, tables)
    n_players = train.n_owners if options.players == "owners" else train.n_train
    require_budget(method.estimator_of(n_players, given), method.rules_of(given["evaluations"], given))
    utility = TableUtility(method.name, given, options.metric, train, validation, secrets.token_hex(8))
    worths = asked(session, utility, [np.ones(n_players, np.bool_), np.zeros(n_players, np.bool_)])
    return TableGame(method, utility, n_players, Ends(worths[0]["worth"], worths[1]["worth"]), session)


def asked(session: Session, utility: TableUtility, coalitions: Sequence[Bools]) -> list[dict[str, Any]]:
    """Return the `WORTHS` of coalitions, asked of workers or tasks of the session."""
    if isinstance(session, LocalSession):
        return ask_by(session.workers, utility, coalitions)
    return ask_on(session, utility, coalitions)


def whole(index: Index) -> IndexReference:
    """Return an index that hosts map whole. Raises: TypeError for blocks, which no plan gives to games."""
    if not isinstance(index, IndexReference):
        raise TypeError(f"expected an index of all rows; got {index}")
    return index


def _gone_on(kept: GameLedger, n_players: int, evaluations: int) -> Totals | None:
    """Return the totals that an earlier start has left, None if there are none that can be used."""
    try:
        found = kept.read(n_players, evaluations)
    except OutputConflictError as error:
        log_event(f"ledger: the game begins anew: {error.problems[0].got}")
        return None
    if found is not None:
        log_event(f"ledger: {found.n_asked:,} evaluations were done before", evaluations=found.n_asked)
    return found

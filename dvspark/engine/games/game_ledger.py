"""The ledger of a game: the totals of its finished ranges in one file, which is either whole or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from dvspark.audit.games import check_ranges, check_worths
from dvspark.engine.games.range_notes import RangeNotes, range_sketch
from dvspark.engine.games.ranges import GameWork, totals_of, totals_row
from dvspark.errors import OutputConflictError, Problem
from dvspark.games.playing import PlayRanges, Rules
from dvspark.games.totals import Totals
from dvspark.games.utility import Worths
from dvspark.runs.files import Files, read_if_there, write_whole
from dvspark.runs.identity import fingerprint
from dvspark.runs.ledger import KEEP_SECONDS
from dvspark.schemas.columns import from_ipc, to_ipc
from dvspark.version import __version__

NAME = "game.arrow"
FINGERPRINT, CONTENT, NOTES = b"fingerprint", b"sha256", b"notes"


@dataclass
class GameLedger:
    """Keeps the totals of whole ranges of a game, with its ``notes``, in a file of this ``name``.

    ``game``, a sha256 of all that decides them, tells it from others. ``require_own`` is called before the file is
    written.
    """

    files: Files
    game: str
    name: str = NAME
    require_own: Callable[[], None] = lambda: None
    notes: RangeNotes = field(default_factory=RangeNotes)
    written: float = -math.inf

    @classmethod
    def of(
        cls,
        files: Files,
        work: GameWork,
        rules: Rules,
        name: str = NAME,
        require_own: Callable[[], None] = lambda: None,
    ) -> GameLedger:
        """Return the ledger of a game, which the utility's U(N) and U(∅) are part of; the budget may grow."""
        decisive: dict[str, Any] = {"version": __version__, "estimator": repr(work.estimator), "seed": work.seed}
        stops = repr(dataclasses.replace(rules, evaluations=0))
        game = fingerprint({**decisive, "ends": [work.ends.all.hex(), work.ends.none.hex()], "stops": stops})
        return cls(files, game, name, require_own)

    def read(self, n_players: int, evaluations: int) -> Totals | None:
        """Return the totals that were kept, None if there are none.

        Raises: OutputConflictError for another game's, or if they took more ``evaluations`` than there may be.
        """
        hint = "name another folder, or remove it: then the game begins anew"
        try:
            content = read_if_there(self.files, self.name)
            if content is None:
                return None
            table = from_ipc(content)
            told, row = table.schema.metadata or {}, table.to_pylist()[0]
        except (pa.ArrowException, IndexError, OSError) as error:
            raise OutputConflictError(Problem(f"ledger, {self.name}", "totals of a game", str(error), hint)) from error
        if told.get(FINGERPRINT) != self.game.encode():
            expected = "this method, its parameters, seed, players, and the same U(N) and U(∅)"
            raise OutputConflictError(Problem(f"ledger, {self.name}", expected, "another game", hint))
        notes = told.get(NOTES, b"")
        if told.get(CONTENT) != _sha256(row, notes):
            raise OutputConflictError(
                Problem(f"ledger, {self.name}", "totals as they were written", "other bytes", hint)
            )
        if row["n_asked"] > evaluations:
            got = f"{row['n_asked']:,} that were done before"
            raise OutputConflictError(
                Problem(f"ledger, {self.name}", f"at most {evaluations:,} evaluations", got, hint)
            )
        self.notes = RangeNotes.of(notes, n_players)
        return totals_of(row, n_players)

    def require_same_utility(self, worths: Worths, play_ranges: PlayRanges) -> None:
        """Raise OutputConflictError unless coalitions of the totals that were read are worth now what they were.

        Another utility may have the same U(N) and U(∅). Cost: up to 16 evaluations; where an estimator keeps no
        coalitions, one range of draws. Raises: ComputeError where the utility fails.
        """
        probes, drawn = list(self.notes.probes.values()), self.notes.drawn
        if probes:
            again = [worths.of(one.joined) for one in probes]
            worths.require_no_failures()
            size = max(abs(worths.least), abs(worths.most))
            found = check_worths([one.worth for one in probes], again, size)
        elif drawn:
            number = min(drawn, key=lambda one: drawn[one].n)
            (played,) = play_ranges([drawn[number]])
            found = check_ranges([(self.notes.sketches[number], range_sketch(played))], len(drawn))
        else:
            return
        if found.verdict == "fail":
            hint = "name another folder, or remove it: then the game begins anew; a utility that draws needs a seed"
            expected, got = "coalitions that are worth what they were", f"worths that differ by {found.measured:.3g}"
            raise OutputConflictError(Problem(f"ledger, {self.name}", expected, got, hint))

    def keep(self, totals: Totals, range_draws: int) -> None:
        """Write the totals, unless they end within a range, or others were written just now."""
        whole = totals.n_draws == totals.n_ranges * range_draws
        if not whole or time.monotonic() - self.written < KEEP_SECONDS:
            return
        self.require_own()
        batch, notes = totals_row(0, totals), self.notes.content()
        told = {FINGERPRINT: self.game.encode(), CONTENT: _sha256(batch.to_pylist()[0], notes), NOTES: notes}
        write_whole(self.files, self.name, to_ipc(batch.replace_schema_metadata(told)))
        self.written = time.monotonic()


def _sha256(row: dict[str, Any], notes: bytes) -> bytes:
    return hashlib.sha256(repr(sorted(row.items())).encode() + notes).hexdigest().encode()

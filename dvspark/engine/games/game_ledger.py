"""The ledger of a game: the totals of its finished ranges in one file, which is either whole or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dvspark.engine.games.ranges import GameWork, totals_of, totals_row
from dvspark.errors import OutputConflictError, Problem
from dvspark.games.playing import Rules
from dvspark.games.totals import Totals
from dvspark.runs.files import Files, write_whole
from dvspark.runs.identity import fingerprint
from dvspark.schemas.columns import from_ipc, to_ipc
from dvspark.version import __version__

NAME = "game.arrow"
FINGERPRINT, CONTENT = b"fingerprint", b"sha256"
# Between two times of writing: this much work is lost if the process is killed.
KEEP_SECONDS = 5.0


@dataclass
class GameLedger:
    """Keeps the totals of whole ranges of a game; ``game``, a sha256 of all that decides them, tells it from others."""

    files: Files
    game: str
    written: float = -math.inf

    @classmethod
    def of(cls, files: Files, work: GameWork, rules: Rules) -> GameLedger:
        """Return the ledger of a game. The utility is known by U(N) and U(∅); the budget may grow."""
        decisive: dict[str, Any] = {"version": __version__, "estimator": repr(work.estimator), "seed": work.seed}
        stops = repr(dataclasses.replace(rules, evaluations=0))
        return cls(
            files, fingerprint({**decisive, "ends": [work.ends.all.hex(), work.ends.none.hex()], "stops": stops})
        )

    def read(self, n_players: int, evaluations: int) -> Totals | None:
        """Return the totals that were kept, None if there are none.

        Raises: OutputConflictError for another game's, or if they took more ``evaluations`` than there may be.
        """
        if not self.files.exists(NAME):
            return None
        hint = "name another folder, or remove it: then the game begins anew"
        try:
            table = from_ipc(self.files.read(NAME))
            told, row = table.schema.metadata or {}, table.to_pylist()[0]
        except (pa.ArrowException, IndexError, OSError) as error:
            raise OutputConflictError(Problem(f"ledger, {NAME}", "totals of a game", str(error), hint)) from error
        if told.get(FINGERPRINT) != self.game.encode():
            expected = "this method, its parameters, seed, players, and the same U(N) and U(∅)"
            raise OutputConflictError(Problem(f"ledger, {NAME}", expected, "another game", hint))
        if told.get(CONTENT) != _sha256(row):
            raise OutputConflictError(Problem(f"ledger, {NAME}", "totals as they were written", "other bytes", hint))
        if row["n_asked"] > evaluations:
            got = f"{row['n_asked']:,} that were done before"
            raise OutputConflictError(Problem(f"ledger, {NAME}", f"at most {evaluations:,} evaluations", got, hint))
        return totals_of(row, n_players)

    def keep(self, totals: Totals, range_draws: int) -> None:
        """Write the totals, unless they end within a range, or others were written just now."""
        whole = totals.n_draws == totals.n_ranges * range_draws
        if not whole or time.monotonic() - self.written < KEEP_SECONDS:
            return
        batch = totals_row(0, totals)
        told = {FINGERPRINT: self.game.encode(), CONTENT: _sha256(batch.to_pylist()[0])}
        write_whole(self.files, NAME, to_ipc(batch.replace_schema_metadata(told)))
        self.written = time.monotonic()


def _sha256(row: dict[str, Any]) -> bytes:
    return hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest().encode()

"""Notes of ranges: what the audit knows of each, so that it can have some of them played again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from dvspark.engine.games.ranges import packed, unpacked
from dvspark.games.draws import Drawn
from dvspark.games.playing import PlayRanges
from dvspark.games.totals import Totals
from dvspark.games.utility import Probe
from dvspark.schemas import RANGE_NOTES, Float64s
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.columns import from_ipc, to_ipc

# The probes of so many ranges are kept.
MOST_PROBES = 16


@dataclass
class RangeNotes:
    """Of each range its draws and a sketch of its totals; of a few, drawn by a hash of their number, a probe."""

    drawn: dict[int, Drawn] = field(default_factory=dict)
    sketches: dict[int, Float64s] = field(default_factory=dict)
    probes: dict[int, Probe] = field(default_factory=dict)

    def noted(self, play_ranges: PlayRanges) -> PlayRanges:
        """Return what plays ranges and notes each when it is taken."""

        def play_noted(stretches: Sequence[Drawn]) -> Iterator[Totals]:
            for drawn, totals in zip(stretches, play_ranges(stretches), strict=False):
                self._note(drawn, totals)
                yield totals

        return play_noted

    def _note(self, drawn: Drawn, totals: Totals) -> None:
        self.drawn[drawn.number], self.sketches[drawn.number] = drawn, range_sketch(totals)
        if totals.probe is not None:
            self.probes[drawn.number] = totals.probe
        if len(self.probes) > MOST_PROBES:
            del self.probes[max(self.probes, key=_place)]

    def content(self) -> bytes:
        """Return the notes as a stream of `RANGE_NOTES`."""
        rows = [
            {
                "number": number,
                "n_draws": drawn.n,
                "sketch": self.sketches[number].astype("<f8").tobytes(),
                "probe": packed(self.probes[number].joined) if number in self.probes else None,
                "probe_worth": self.probes[number].worth if number in self.probes else None,
            }
            for number, drawn in self.drawn.items()
        ]
        return to_ipc(pa.RecordBatch.from_pylist(rows, schema=arrow_schema(RANGE_NOTES)))

    @classmethod
    def of(cls, content: bytes, n_players: int) -> RangeNotes:
        """Return the notes of such a stream."""
        found = cls()
        for row in from_ipc(content).to_pylist():
            number = row["number"]
            found.drawn[number] = Drawn(number, row["n_draws"])
            found.sketches[number] = np.frombuffer(row["sketch"], "<f8")
            if row["probe"] is not None:
                found.probes[number] = Probe(unpacked(row["probe"], n_players), row["probe_worth"])
        return found


def range_sketch(totals: Totals) -> Float64s:
    """Return a few numbers of the totals of a range, float64: counts, the ends of worths, and sums over players.

    Players have weights in them, so that two that have changed places show. How often the utility was called does not
    count.
    """
    weights = np.cos(np.arange(1.0, len(totals.moments[0].mean) + 1))
    sums = [float(weights @ part) for one in totals.moments for part in (one.n, one.mean, np.sqrt(one.squares))]
    ends = [totals.least, totals.most] if totals.n_asked else [0.0, 0.0]
    return np.array([totals.n_draws, totals.n_asked, *ends, *sums])


def _place(number: int) -> bytes:
    return hashlib.blake2b(number.to_bytes(8, "little"), digest_size=8).digest()

"""A shared game: what stages ask of a kind of methods for which all validation rows share one game."""

from __future__ import annotations

from typing import Any, Protocol

from dvspark.logs import Stage
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Finding, Float64s, Partial


class SharedValues(Protocol):
    """The values of a shared game, and what is known of them."""

    @property
    def totals(self) -> Partial:
        """The values as a partial, whose means they are."""

    @property
    def n_validation(self) -> int:
        """How many validation rows the values rest on."""

    @property
    def standard_errors(self) -> Float64s | None:
        """The standard error of each value; None where values have none."""

    @property
    def note(self) -> str:
        """What the log says of the stage."""

    def findings(self, values: Float64s) -> list[Finding]:
        """Return the audit's findings about the values."""

    def record(self) -> dict[str, Any]:
        """Return what the run record tells besides."""


class SharedGame(Protocol):
    """A game that is settled and can be valued, at once and not chunk by chunk."""

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""

    def value(self, ledger: Ledger | None, stage: Stage) -> SharedValues:
        """Return the values. What takes long is kept in the ledger, if there is one."""

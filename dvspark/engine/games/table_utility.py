"""The utility of a job: made of the tables' rows, which hosts map, once a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dvspark.engine.games.ranges import GameWork
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.replicated.replicated import open_here
from dvspark.games.utilities.game_tables import GameTables
from dvspark.games.utilities.named import Factory, named_utility
from dvspark.games.utility import Ends, Utility
from dvspark.methods import METHODS
from dvspark.methods.game_rows import answers_of, players_in, utility_settings
from dvspark.methods.kinds.games import GamesMethod
from dvspark.schemas import Int64s

# The utility of the game that this process plays, by its token: a Python worker plays many ranges.
_made: dict[str, Utility] = {}


@dataclass(frozen=True)
class TableUtility:
    """Makes the utility of two tables; ``given``: parameters of ``method``; ``token`` tells this game from others."""

    method: str
    given: Mapping[str, Any]
    metric: str
    train: IndexReference
    validation: IndexReference
    token: str

    def made(self) -> Utility:
        """Return the utility, which a process makes once.

        Raises: ConfigError if it cannot be made of these tables.
        """
        if self.token not in _made:
            _made.clear()
            utility: str | Factory = self.given["utility"]
            _made[self.token] = named_utility(utility, self.tables(), utility_settings(self.given, self.metric))
        return _made[self.token]

    def work(self, n_players: int, ends: Ends) -> GameWork:
        """Return what a task must know to play a range of this game, in which both ``ends`` are known."""
        estimator = GamesMethod.of(METHODS[self.method]).estimator_of(n_players, self.given)
        return GameWork(self, estimator, self.given["seed"], ends, self.token, self.given["cache_worths"])

    def told(self) -> dict[str, Any]:
        """Return this as plain data, where the utility is a text."""
        return asdict(self)

    @classmethod
    def of_told(cls, told: dict[str, Any]) -> Self:
        """Return what such data tell."""
        return cls(**{**told, **{side: IndexReference(**told[side]) for side in ("train", "validation")}})

    def tables(self) -> GameTables:
        """Return the rows of both tables, mapped, each in id order."""
        train, points = open_here(self.train), open_here(self.validation)
        answers = (answers_of(opened.keys["label"].combine_chunks()) for opened in (train, points))
        owners: Int64s | None = players_in(train.train_keys.columns.owners, self.given)
        return GameTables(train.arrays.x, next(answers), points.arrays.x, next(answers), owners)

"""Data-OOB, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.out_of_bag import OutOfBag
from dvspark.methods.game_parameters import UTILITY_WITH_SCORES, game_parameters
from dvspark.methods.kinds.games import GamesMethod

DATA_OOB = GamesMethod(
    name="data_oob",
    gives="how well it is predicted by models that were trained on bags without it",
    purpose="to find wrong labels with a model of your own, and few trainings",
    cost="1 training a draw, which counts for the third of the rows outside of the bag",
    reference="Kwon & Zou, Data-OOB, ICML 2023, arXiv:2304.07718",
    estimator=OutOfBag,
    parameters=game_parameters(utility=UTILITY_WITH_SCORES),
    scores=True,
)

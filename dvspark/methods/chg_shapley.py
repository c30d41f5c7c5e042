"""CHG-Shapley of gradients in a softmax head that is trained on the embeddings (Cai 2024)."""

from __future__ import annotations

from dvspark.kernels.formulas.chg_shapley import game_of_sums
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.kinds.sums import SumsMethod

CHG_SHAPLEY = SumsMethod(
    name="chg_shapley",
    gives="its Shapley share of how near the mean gradient of rows comes to that of the validation rows",
    purpose="to find wrong labels in a few passes; while a network trains",
    cost="none: O(p) a row",
    formulas=Parameters,
    parameters=(),
    reference="Cai, CHG Shapley, 2024, arXiv:2406.11730",
    game_of=game_of_sums,
)

"""CHG-Shapley of gradients in a softmax head that is trained on the embeddings (Cai 2024)."""

from __future__ import annotations

from dvspark.kernels.formulas.chg_shapley import game_of_sums
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.kinds.sums import SumsMethod

CHG_SHAPLEY = SumsMethod(
    name="chg_shapley",
    formulas=Parameters,
    parameters=(),
    reference="Cai, CHG Shapley, 2024, arXiv:2406.11730",
    game_of=game_of_sums,
)

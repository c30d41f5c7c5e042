"""KNN-Banzhaf: rank weights of the Banzhaf value, which weighs all coalitions alike."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.semivalues import BANZHAF, Joining, Semivalue


@dataclass(frozen=True)
class KnnBanzhaf(Semivalue):
    """KNN-Banzhaf. Beyond about rank 2 k its weights fall by half from rank to rank."""

    @property
    def joining(self) -> Joining:
        """The chance with which a row joins a coalition."""
        return BANZHAF

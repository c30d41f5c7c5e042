"""KNN-Banzhaf: rank weights of the Banzhaf value, which weighs all coalitions alike."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.semivalues import BANZHAF, Joining, Semivalue


@dataclass(frozen=True)
class KnnBanzhaf(Semivalue):
    """KNN-Banzhaf, whose weights fall by half from rank to rank beyond some 2 k.

    Source: Wang & Jia, AISTATS 2023, arXiv:2205.15466; the closed form is this project's own, tested by enumeration.
    """

    @property
    def joining(self) -> Joining:
        """The chance of a row to join."""
        return BANZHAF

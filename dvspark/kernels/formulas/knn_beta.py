"""KNN-Beta: rank weights of the Beta(alpha, beta) semivalue; a large alpha favors small coalitions, 1 and 1 none."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.semivalues import Joining, Semivalue


@dataclass(frozen=True)
class KnnBeta(Semivalue):
    """KNN-Beta; Beta(1, 1) is the Shapley value.

    Source: Kwon & Zou, AISTATS 2022, arXiv:2110.14049; the closed form is this project's own, tested by enumeration.
    """

    alpha: float
    beta: float

    @property
    def joining(self) -> Joining:
        """The chance with which a row joins a coalition."""
        return Joining(self.alpha, self.beta)

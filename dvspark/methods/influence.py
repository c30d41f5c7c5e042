"""Influence functions of a softmax head that is trained on the embeddings (Koh & Liang 2017), as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.influence import Influence
from dvspark.methods.kinds.whole import WholeMethod
from dvspark.methods.parameters import Number

HEAD_PENALTY = Number("penalty", "penalty on the head's weights: the larger, the smoother the head", 0.001, above=0.0)

INFLUENCE = WholeMethod(
    name="influence",
    gives="how much the loss of a softmax head on the validation rows would rise without it, to first order",
    purpose="to see what a row does to logistic regression without training it again",
    cost="none: some 100 passes over the rows",
    formulas=Influence,
    parameters=(HEAD_PENALTY,),
    reference="Koh & Liang, ICML 2017, arXiv:1703.04730",
    at_once=False,
    passes=200,
)

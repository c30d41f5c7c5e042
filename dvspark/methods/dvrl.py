"""DVRL (Yoon, Arik & Pfister 2020) over a softmax head, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.dvrl import Dvrl
from dvspark.methods.kinds.whole import WholeMethod
from dvspark.methods.parameters import Whole

STEPS = Whole("steps", "how often rows are chosen, a head is trained on them, and the choice is rewarded", 1000)
BATCH_ROWS = Whole("batch_rows", "rows drawn in a step, of which some are chosen", 2000)
SEED = Whole("seed", "decides what is drawn", 0, least=0)

DVRL = WholeMethod(
    name="dvrl",
    gives="the chance, from 0 to 1, that a network chooses it after learning which rows lower the validation loss",
    purpose="to compare with results that learn values; some thousand rows",
    cost="none: one training of a head in each step",
    formulas=Dvrl,
    parameters=(STEPS, BATCH_ROWS, SEED),
    reference="Yoon, Arik & Pfister, ICML 2020, arXiv:1909.11671",
    passes=2000,
)

"""DVRL (Yoon, Arik & Pfister 2020) over a softmax head, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.dvrl import Dvrl
from dvspark.methods.kinds.whole import WholeMethod
from dvspark.methods.parameters import Whole

STEPS = Whole("steps", "how often rows are chosen, a head is trained on them, and the choice is rewarded", 1000)
BATCH_ROWS = Whole("batch_rows", "of how many rows some are chosen in a step", 2000)
SEED = Whole("seed", "decides what is drawn", 0, least=0)

DVRL = WholeMethod(
    name="dvrl",
    gives="how often a network that learns what helps the validation rows would choose it, from 0 to 1",
    purpose="to compare with results that learn values; some thousand rows",
    cost="none: a training of a head a step",
    formulas=Dvrl,
    parameters=(STEPS, BATCH_ROWS, SEED),
    reference="Yoon, Arik & Pfister, ICML 2020, arXiv:1909.11671",
    passes=2000,
)

"""LAVA (Just et al. 2023), as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.lava import Lava
from dvspark.methods.kinds.whole import WholeMethod
from dvspark.methods.parameters import Number

LABEL_WEIGHT = Number(
    "label_weight", "how much the distance of two classes counts beside that of two rows", 1.0, above=0.0
)

LAVA = WholeMethod(
    name="lava",
    gives="how fast the transport distance to the validation rows would fall if it counted more",
    purpose="to find rows unlike the validation rows before any model is chosen; some thousand rows",
    cost="optimal transport of all rows at once",
    formulas=Lava,
    parameters=(LABEL_WEIGHT,),
    reference="Just et al., LAVA, ICLR 2023, arXiv:2305.00054",
    passes=1,
)

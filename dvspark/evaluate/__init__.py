"""Evaluate: do the values help? Rows that are spoiled on purpose are found, rows are removed, members are guessed.

    rows, contenders  ->  protocol spoils some rows, by a seed  ->  values  ->  a measure  ->  an Evaluation

`detect`, `removal`, `membership`, `stability`, `subsets` and `compare` ask a question each; all take arrays and give an
`Evaluation`, tables of plain numbers. Everything that is drawn follows from the seed, to the bit, except the noise of
private methods, which no seed may tell.
"""

from __future__ import annotations

"""Reasons: a sentence for each decision, for the person who has to agree with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dvspark.errors import shown
from dvspark.review.decisions import Decided, Evidence, codes_at

KEPT = "Its label is plausible, and it is no copy and no outlier."
SAVED = " Otherwise no row of its class would be left."


def reasons(evidence: Evidence, decided: Decided, words: list[Any], ids: list[Any], validation_ids: list[Any]) -> Any:
    """Return the sentences as a list, (n,); ``words``: the label of each code; ids of the rows, all in id order."""
    told = [KEPT] * len(decided.words)
    for row in np.flatnonzero(decided.words != "keep").tolist():
        told[row] = _reason(evidence, row, words, ids, validation_ids)
    for row in np.unique(decided.saved).tolist():
        told[row] += SAVED
    return told


def _reason(evidence: Evidence, row: int, words: list[Any], ids: list[Any], validation_ids: list[Any]) -> str:
    """Return the sentence of the first rule that fits a row, in the order of `decisions`."""
    if evidence.leaks.found[row]:
        leaked = shown([validation_ids[int(evidence.leaks.of[row])]])
        return f"It {_sameness(float(evidence.leaks.distances[row]))} validation row {leaked}."
    copy = ""
    if evidence.copies.found[row]:
        first = shown([ids[int(evidence.copies.of[row])]])
        copy = f"It {_sameness(float(evidence.copies.distances[row]))} row {first}"
        if evidence.same_labels[row]:
            return f"{copy}, which comes first and has the same label."
    if evidence.judged.issue[row]:
        return _label_reason(evidence, row, words)
    if copy:
        return f"{copy}, whose label is another."
    return "Its neighbors are much farther from it than from their own neighbors."


def _probability(found: float) -> str:
    """Return a probability in two digits, which never says that something is certain."""
    return "over 0.99" if found > 0.99 else "under 0.01" if found < 0.01 else f"{found:.2f}"


def _sameness(distance: float) -> str:
    return "equals" if distance == 0.0 else "nearly equals"


def _label_reason(evidence: Evidence, row: int, words: list[Any]) -> str:
    judged = evidence.judged
    own, best = codes_at(evidence.labels, row), codes_at(judged.suggested, row)
    if not judged.differs[row]:
        doubt = f"probability {_probability(judged.score[row])}"
        return f"Its label is doubtful ({doubt}), but no other is more probable."
    sure = f"with probability {_probability(judged.suggested_score[row])}"
    if judged.support[row] >= 0:
        votes = f"{judged.support[row]} of its {judged.n_asked} nearest rows have it"
        return f"Its label is probably {shown([words[best[0]]])}, not {shown([words[own[0]]])}, {sure}; {votes}."
    parts = []
    if len(lacking := np.setdiff1d(best, own)):
        parts.append(f"lacks {shown(words[code] for code in lacking)}")
    if len(wrong := np.setdiff1d(own, best)):
        parts.append(f"should not have {shown(words[code] for code in wrong)}")
    return f"It probably {' and '.join(parts)}, {sure}."

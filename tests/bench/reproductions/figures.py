"""Figures of the public sets: wrong labels, rising noise in half of the rows, rising shares of adversarial points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dvspark.evaluate.contenders import contenders_of
from dvspark.evaluate.detect import detect
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.measures import auroc, band
from dvspark.evaluate.protocols import FEATURES, LABELS, Protocol
from dvspark.kernels.gradients.softmax_head import fit_head
from tests.bench.frame import Row, say
from tests.bench.reproductions.adversarial import fast_gradient_sign, iterative_l2

N_TRAIN, N_VALIDATION = 500, 200
FIGURE_METHODS = ("knn_shapley:k=5", "threshold_knn_shapley", "chg_shapley")
NOISES = (0.5, 1.0, 2.0, 4.0)
SHARES = (0.0, 0.5, 1.0)
# Of the fast gradient sign: standard deviations of all features together.
STEP = 0.25


def drawn(rows: LabeledRows, seed: int, n_train: int, n_validation: int) -> tuple[LabeledRows, LabeledRows]:
    """Return rows for both sides, drawn by a seed."""
    order = np.random.default_rng([seed, 7]).permutation(len(rows))
    return rows.take(order[:n_train]), rows.take(order[n_train : n_train + n_validation])


def figure_rows(
    sets: Iterable[tuple[str, LabeledRows]],
    seeds: Sequence[int],
    n_train: int = N_TRAIN,
    n_validation: int = N_VALIDATION,
) -> dict[str, list[Row]]:
    """Return the rows of all figures by title."""
    labels, noise, adversarial = list[Row](), list[Row](), list[Row]()
    for name, rows in sets:
        say(f"figures: {name}")
        labels += [{"set": name, **row} for row in _spoiled(rows, Protocol(spoil=LABELS), seeds, n_train, n_validation)]
        for size in NOISES:
            protocol = Protocol(spoil=FEATURES, share=0.5, noise=size)
            found = _spoiled(rows, protocol, seeds, n_train, n_validation)
            noise += [{"set": name, "noise": size, **row} for row in found]
        adversarial += [{"set": name, **row} for row in _adversarial(rows, seeds, n_train, n_validation)]
    return {"wrong labels": labels, "half of the rows noisy": noise, "adversarial rows": adversarial}


def _spoiled(rows: LabeledRows, protocol: Protocol, seeds: Sequence[int], n_train: int, n_validation: int) -> list[Row]:
    """Return the band of AUROC of each method, each seed with rows of its own."""
    scores: dict[str, list[Row]] = {}
    for seed in seeds:
        found = detect(
            *drawn(rows, seed, n_train, n_validation), contenders_of(FIGURE_METHODS), protocol=protocol, seeds=[seed]
        )
        for row in found.tables["detection"]:
            scores.setdefault(row["method"], []).append(row)
    return [
        {"method": name, **_named(band([row["auroc"] for row in of_seeds]))}
        | {"precision": band([row["precision"] for row in of_seeds])["mean"]}
        for name, of_seeds in scores.items()
    ]


def _adversarial(rows: LabeledRows, seeds: Sequence[int], n_train: int, n_validation: int) -> list[Row]:
    """Return AUROC of finding the half of the training rows that is adversarial, by the share of such points."""
    found: dict[tuple[str, float, str], list[float]] = {}
    for seed in seeds:
        train, validation = drawn(rows, seed, n_train, n_validation)
        classes, codes = np.unique(np.concatenate([train.y, validation.y]), return_inverse=True)
        codes = codes.astype(np.int32)
        head = fit_head(train.x, codes[: len(train)], len(classes))
        step = STEP * float(np.sqrt(train.x.var(axis=0).mean()))
        attacks = {
            "fast gradient sign": lambda x, y, head=head, step=step: fast_gradient_sign(head, x, y, step),
            "iterative L2": lambda x, y, head=head: iterative_l2(head, x, y),
        }
        for attack, move in attacks.items():
            is_moved = np.random.default_rng([seed, 8]).permutation(len(train)) < len(train) // 2
            moved = np.where(is_moved[:, None], move(train.x, codes[: len(train)]), train.x)
            points = move(validation.x, codes[len(train) :])
            order = np.random.default_rng([seed, 9]).permutation(len(validation))
            for share in SHARES:
                is_adversarial = order < round(share * len(validation))
                shown = LabeledRows(np.where(is_adversarial[:, None], points, validation.x), validation.y)
                for one in contenders_of(FIGURE_METHODS):
                    values = one.values(LabeledRows(moved, train.y), shown)
                    found.setdefault((attack, share, one.name), []).append(auroc(is_moved, values))
    return [
        {"attack": attack, "adversarial points": share, "method": name, **_named(band(scores))}
        for (attack, share, name), scores in found.items()
    ]


def _named(over: dict[str, float]) -> Row:
    return {"auroc" if part == "mean" else part: number for part, number in over.items()}

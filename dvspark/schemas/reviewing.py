"""The review table: one decision a training row, with what it rests on."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

REVIEW = Table(
    "review",
    "one decision a train row; stored under run_id=…",
    (
        Column("id", "{id}", "the train row"),
        Column("label", "{label}", "its label"),
        Column("value", "double", "its value, as in the values table"),
        Column("standard_error", "double", "of the value over validation rows; null for a single one"),
        Column("label_score", "double", "probability that the label is right, from 0 to 1: low is suspicious"),
        Column("label_issue", "boolean", "whether it is among the labels that are probably wrong"),
        Column("suggested_label", "{label}", "the most probable label, which may be the one that it has"),
        Column("suggested_score", "double", "probability that the suggested label is right"),
        Column("duplicate_of", "{id}", "the nearest earlier row that is the same, or nearly; null if there is none"),
        Column("duplicate_distance", "double", "how far that row is; 0 where embeddings are equal"),
        Column("leaked_from", "{validation_id}", "the nearest validation row that is the same, or nearly; or null"),
        Column("outlier_score", "double", "how much farther its neighbors are than theirs: 1 is usual"),
        Column("decision", "string", "keep, relabel, drop or check"),
        Column("reason", "string", "why, in a sentence"),
    ),
)
NEAR_POINTS = Table(
    "near_points",
    "the nearest other train rows of train rows; arrays are binary, little-endian",
    (
        Column("train_row", "bigint", "position of the train row in id order"),
        Column("rows", "binary", "int32: positions of the near rows, nearest first"),
        Column("distances", "binary", "float64: their distances, in the run's metric"),
    ),
)
# Of rows with several labels.
LABEL_CHANGES = (
    Column("labels_to_add", "{label}", "labels that the row probably lacks"),
    Column("labels_to_remove", "{label}", "labels that the row probably should not have"),
)
DECISIONS = ("keep", "relabel", "drop", "check")

from __future__ import annotations

import pytest

from dvspark.report.class_names import class_names

LONG = "a" * 100


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cat", "dog", "cat"], ["cat", "dog"]),
        ([7, 8, None], ["7", "8"]),
        ([LONG + "x", "b"], ["a" * 79 + "…", "b"]),
        ([LONG + "x", LONG + "y"], ["a" * 40 + "…" + "a" * 38 + each for each in "xy"]),
        ([LONG + "x" + LONG, LONG + "y" + LONG], ["a" * 40 + "…" + "a" * 39 + each for each in ("", " (2)")]),
        (["", '""', '"" (2)', "a\nb", "a\\nb"], ['""', '"" (2)', '"" (2) (2)', "a\\nb", "a\\nb (2)"]),
        (["c" * 80, "c" * 79 + "…"], ["c" * 80, "c" * 79 + "…"]),
    ],
)
def test_class_names__no_two_are_alike(labels, names):
    found = class_names(labels, [])
    assert [*found.names.values()] == names
    assert found.n_listed == len(names)


def test_class_names__classes_of_no_row_come_last_and_are_not_listed():
    found = class_names(["cat", None, "dog"], ["bird", "cat"])
    assert [*found.names] == ["cat", "dog", "bird"]
    assert [found.is_listed(label) for label in ("cat", "dog", "bird", "fish", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [found.of(label) for label in ("bird", None)] == [2, None]


def test_class_names__many_that_look_alike_take_no_square_of_time():
    labels = [LONG + str(number) + LONG for number in range(20_000)]
    assert len({*class_names(labels, []).names.values()}) == len(labels)

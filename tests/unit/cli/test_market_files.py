"""`dvspark pay` and `dvspark select` on files: names stay text, shares are exact, unusable input has its exit code."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.cli import main

FILES = {
    "plain.csv": "id,value\na,3\nb,1\n",
    "hundred.csv": "id,label,value\n" + "".join(f"{row},a,{row}\n" for row in range(100)),
    "zeros.csv": "id,owner,label,value\n007,01,01,3\n7,1,1,1\n",
    "zero_costs.csv": "id,cost\n7,5\n007,2\n",
    "twice.csv": "id,value\na,3\na,1\n",
    "no_owner.csv": "id,owner,value\na,x,3\nb,,1\n",
    "texts.csv": "id,value\na,much\nb,little\n",
    "nan.csv": "id,value\na,nan\nb,1\n",
    "inf.csv": "id,value\na,inf\nb,1\n",
    "costs.csv": "id,cost\na,1\nb,1\n",
    "no_id.csv": "name,value\na,1\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(name: str) -> list[dict[str, str]]:
    with Path(name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("words", "ids"), [([], ["007", "7"]), (["--by", "owner"], ["01", "1"])])
def test_pay__keeps_payees_apart_whose_names_are_written_apart(words: list[str], ids: list[str]) -> None:
    assert main(["pay", "zeros.csv", "--budget", "8", *words, "--to", "paid"]) == 0
    assert [(row["id"], row["payout"]) for row in rows_of("paid.csv")] == [(ids[0], "6"), (ids[1], "2")]


def test_select__joins_costs_by_ids_as_they_are_written() -> None:
    words = ["select", "zeros.csv", "--budget", "7", "--costs", "zero_costs.csv", "--by", "label", "--to", "kept"]
    assert main(words) == 0
    found = [(row["id"], row["label"], row["cost"]) for row in rows_of("kept.csv")]
    assert found == [("007", "01", "2"), ("7", "1", "5")]


def test_market_commands__take_decimals_of_databases() -> None:
    ids, numbers = pa.array(["a", "b", "c"]), pa.array([Decimal("0.25"), Decimal("0.5"), Decimal("0.25")])
    pq.write_table(pa.table({"id": ids, "value": numbers}), "decimals.parquet")
    pq.write_table(pa.table({"id": ids, "cost": numbers.take(pa.array([0, 2, 1]))}), "costs.parquet")
    assert main(["pay", "decimals.parquet", "--budget", "8", "--to", "paid"]) == 0
    assert [(row["id"], row["payout"]) for row in rows_of("paid.csv")] == [("a", "2"), ("b", "4"), ("c", "2")]
    assert main(["select", "decimals.parquet", "--budget", "0.5", "--costs", "costs.parquet", "--to", "kept"]) == 0
    assert {row["id"] for row in rows_of("kept.csv")} == {"a", "b"}


@pytest.mark.parametrize(
    ("share", "n"), [("0.29", 29), ("0.57", 57), ("1", 100), ("0.299", 29), ("0.001", 1), ("1e-99999999", 1)]
)
def test_select__keeps_the_share_that_is_written(share: str, n: int) -> None:
    assert main(["select", "hundred.csv", "--share", share, "--to", "kept"]) == 0
    assert len(rows_of("kept.csv")) == n


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("pay plain.csv --budget 1e99999999", 2, "10^15 units"),
        ("pay plain.csv --budget 1e-99999999", 2, "whole units"),
        ("pay twice.csv --budget 5", 3, "unique ids"),
        ("pay no_owner.csv --budget 5 --by owner", 3, "an owner in every row"),
        ("pay texts.csv --budget 5", 3, "numbers"),
        ("pay nan.csv --budget 5", 3, "finite numbers"),
        ("select twice.csv --rows 1", 3, "unique ids"),
        ("select no_owner.csv --rows 1 --by owner", 3, "an owner in every row"),
        ("select plain.csv --rows 1 --by label", 3, "no such column"),
        ("select no_id.csv --rows 1", 3, "a column 'id'"),
        ("select no_id.csv --budget 5 --costs costs.csv", 3, "a column 'id'"),
        ("select texts.csv --rows 1", 3, "numbers"),
        ("select nan.csv --rows 1", 3, "finite numbers"),
        ("select inf.csv --rows 1", 3, "finite numbers"),
        ("select plain.csv --share nan", 2, "up to 1"),
        ("select plain.csv --share 1e99999999", 2, "up to 1"),
        ("select plain.csv --share half", 2, "up to 1"),
        ("select plain.csv --rows inf", 2, "a finite number"),
        *(
            (f"select plain.csv --costs costs.csv --budget {text}", 2, "finite")
            for text in ("nan", "inf", "1e400", "-1")
        ),
    ],
)
def test_market_commands__tell_what_is_wrong_with_files(
    folder: Path, capsys: Any, words: str, code: int, said: str
) -> None:
    assert main(words.split()) == code
    assert said in json.loads(capsys.readouterr().err.strip().splitlines()[-1])["message"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)

"""Given tables: names in CSV files stay text, costs are joined in the type of the ids, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import InputError
from dvspark.market.given_tables import costs_of, read_given_values, read_table


def test_read_table__guesses_no_names_of_a_csv_file(tmp_path: Path) -> None:
    place = tmp_path / "values.csv"
    place.write_text("id,owner,label,value\n007,01,1.0,1\n7,1,1,2\nNA, ,null,3\n")
    found = read_table(str(place)).to_pydict()
    assert found["id"] == ["007", "7", "NA"]
    assert found["owner"] == ["01", "1", None]
    assert found["label"] == ["1.0", "1", "null"]
    assert found["value"] == [1, 2, 3]


def test_read_table__passes_over_lines_that_a_program_for_tables_left_empty(tmp_path: Path) -> None:
    place = tmp_path / "costs.csv"
    place.write_bytes("\ufeffid,cost,note\r\na,1.5,\r\n,,\r\n\r\nb,,x\r\n,2,\r\n,,\r\n".encode())
    found = read_table(str(place)).to_pydict()
    assert found == {"id": ["a", "b", None], "cost": [1.5, None, 2.0], "note": ["", "x", ""]}


def test_read_table__takes_names_of_any_text_type_in_parquet(tmp_path: Path) -> None:
    place = str(tmp_path / "values.parquet")
    ids, owners = pa.array(["a", "b"], pa.large_string()), pa.array(["x", "x"]).dictionary_encode()
    pq.write_table(pa.table({"id": ids, "owner": owners, "value": [1.0, 2.0]}), place)
    found = read_given_values(place)
    assert found.schema.field("id").type == found.schema.field("owner").type == pa.string()
    assert found.to_pydict() == {"id": ["a", "b"], "owner": ["x", "x"], "value": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,value\na,1\nb,2\na,3\n", "unique ids(.|\n)*1 that repeat; the first: 'a'"),
        ("id,value\na,1\n,2\n", "an id in every row(.|\n)*1 empty"),
        ("id,value,value\na,1,2\n", "one column of each name"),
    ],
)
def test_read_given_values__tells_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    place = tmp_path / "values.csv"
    place.write_text(text)
    with pytest.raises(InputError, match=said):
        read_given_values(str(place))


def costs(ids: pa.Array, known: pa.Array) -> list[float]:
    table = pa.table({"id": known, "cost": range(1, len(known) + 1)})
    return costs_of(pa.chunked_array([ids]), table, "cost").tolist()


@pytest.mark.parametrize(
    ("ids", "known"),
    [
        (["007", "7"], ["007", "7"]),
        ([7, -8], ["7", "-8"]),
        (["7", "8"], [7, 8]),
        (pa.array([7, 8], pa.int32()), pa.array([7, 8], pa.int64())),
    ],
)
def test_costs_of__joins_ids_that_are_written_the_same(ids: Any, known: Any) -> None:
    assert costs(pa.array(ids), pa.array(known)) == [1.0, 2.0]


@pytest.mark.parametrize("known", [["007"], [" 7"], ["7.0"], ["+7"], ["seven"], [7.0], [True]])
def test_costs_of__refuses_ids_that_a_guess_would_take_for_a_whole_number(known: list[Any]) -> None:
    with pytest.raises(InputError, match="costs, column id"):
        costs(pa.array([7]), pa.array(known))


def test_costs_of__never_takes_one_text_for_another() -> None:
    with pytest.raises(InputError, match=r"a cost of every row(.|\n)*'007'"):
        costs(pa.array(["007"]), pa.array([7]))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9, unique=True))
def test_costs_of__joins_every_whole_number_with_its_digits(ids: list[int]) -> None:
    assert costs(pa.array(ids), pa.array(list(map(str, ids)))) == list(range(1, len(ids) + 1))


def test_costs_of__takes_prices_in_float32_as_they_are_written() -> None:
    table = pa.table({"id": [1, 2], "cost": pa.array([0.1, 1e10], pa.float32())})
    assert costs_of(pa.chunked_array([[2, 1]]), table, "cost").tolist() == [1e10, 0.1]


def test_costs_of__tells_which_ids_are_there_twice() -> None:
    with pytest.raises(InputError, match="2 more than once; the first: 'a', 'b'"):
        costs(pa.array(["a", "b"]), pa.array(["a", "b", "a", "b"]))


@pytest.mark.parametrize("cost", ["much", True])
def test_costs_of__refuses_costs_that_are_no_numbers(cost: Any) -> None:
    table = pa.table({"id": [1], "cost": [cost]})
    with pytest.raises(InputError, match=r"costs, column cost(.|\n)*numbers"):
        costs_of(pa.chunked_array([[1]]), table, "cost")

"""`dvspark import yfcc100m` on files in the formats of YFCC100M: every row against what the files were made of."""

from __future__ import annotations

import bz2
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from yfcc_files import TAG_NAMES, Photos, make_files, metadata_line, write_features

from dvspark.cli import main
from dvspark.tables.imports import importing
from dvspark.tables.imports.sides import SIDES

N_FILES, N_ROWS, N_NUMBERS = 3, 60, 24


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Photos]:
    folder = tmp_path_factory.mktemp("yfcc")
    return folder, make_files(folder, N_FILES, N_ROWS, N_NUMBERS)


def words_of(folder: Path, output: Path, *others: str) -> list[str]:
    words = ["import", "yfcc100m", "--features", str(folder), "--autotags", str(folder / "yfcc100m_autotags.bz2")]
    return [*words, "--output", str(output), "--validation-share", "0.25", *others]


def both(output: Path) -> dict[str, pa.Table]:
    return {side: pq.read_table(output / side) for side in SIDES}


def rows_of(output: Path) -> list[dict[str, Any]]:
    return [row for table in both(output).values() for row in table.to_pylist()]


def digests(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*.parquet"))}


def labels_of(photos: Photos, least: float, names: set[str]) -> dict[int, set[str]]:
    found = {
        one: {tag for tag, score in tags.items() if score >= least and tag in names}
        for one, tags in photos.tags.items()
    }
    return {one: tags for one, tags in found.items() if tags and one in photos.x}


def test_rows__are_what_the_files_were_made_of(given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, photos = given
    words = words_of(folder, tmp_path / "out", "--metadata", str(folder / "yfcc100m_dataset.bz2"), "--min-score", "0.6")
    assert main(words) == 0
    rows, expected = rows_of(tmp_path / "out"), labels_of(photos, 0.6, set(TAG_NAMES))
    assert {row["id"]: set(row["label"]) for row in rows} == expected
    assert len(rows) == len(expected)
    for row in rows:
        np.testing.assert_array_equal(np.float32(row["embedding"]), photos.x[row["id"]])
        assert row["owner"] == photos.owners[row["id"]]
        assert row["page"] == f"http://www.flickr.com/photos/{row['owner']}/{row['id']}/"
        assert row["picture"].endswith(f"/{row['id']}_0.jpg")
    assert both(tmp_path / "out")["train"].schema.field("embedding").type == pa.list_(pa.float32())
    assert not (tmp_path / "out" / "_import").exists()


def test_tags__the_most_frequent_or_those_of_a_list(given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, photos = given
    counts = {name: sum(name in tags for tags in photos.tags.values()) for name in TAG_NAMES}
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:2]
    assert main(words_of(folder, tmp_path / "a", "--tags", "2")) == 0
    assert {row["id"]: set(row["label"]) for row in rows_of(tmp_path / "a")} == labels_of(photos, 0, set(frequent))
    (tmp_path / "tags").write_text("food\n\nno such tag\nanimal\n")
    assert main(words_of(folder, tmp_path / "b", "--tag-list", str(tmp_path / "tags"))) == 0
    expected = labels_of(photos, 0, {"food", "animal"})
    assert {row["id"]: set(row["label"]) for row in rows_of(tmp_path / "b")} == expected


def test_split__follows_from_id_and_seed_alone(given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, _ = given
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        files = [str(folder)] if name != "b" else [str(folder / "YFCC100M_hybridCNN_gmean_fc6_1.txt.gz")]
        words = words_of(folder, tmp_path / name, "--seed", seed)
        words[words.index("--features") + 1] = files[0]
        assert main(words) == 0
    ids = {name: set(both(tmp_path / name)["validation"]["id"].to_pylist()) for name in "abc"}
    everyone = set(both(tmp_path / "b")["train"]["id"].to_pylist()) | ids["b"]
    assert ids["a"] & everyone == ids["b"]
    assert ids["a"] != ids["c"]
    assert 0.1 < len(ids["a"]) / (N_FILES * N_ROWS) < 0.4


def test_killed_import__goes_on_to_the_same_bytes(given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, _ = given
    assert main(words_of(folder, tmp_path / "whole")) == 0
    # The process ends as by kill -9 once it has written the files of the second one, before these count.
    code = f"""
import os, sys
from dvspark.tables.imports import importing
write = importing._write
def killed(path, told):
    if path.name == "00001.json":
        os._exit(9)
    write(path, told)
importing._write = killed
from dvspark.cli import main
main({words_of(folder, tmp_path / "killed")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 9
    assert (tmp_path / "killed" / "train" / "part-00001.parquet").exists()
    first = (tmp_path / "killed" / "train" / "part-00000.parquet").stat().st_mtime_ns
    assert main(words_of(folder, tmp_path / "killed")) == 0
    assert (tmp_path / "killed" / "train" / "part-00000.parquet").stat().st_mtime_ns == first
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


@pytest.mark.long
def test_workers__give_the_same_bytes(given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, _ = given
    assert main(words_of(folder, tmp_path / "one")) == 0
    assert main(words_of(folder, tmp_path / "two", "--workers", "2")) == 0
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_finished_import__is_told_again_and_not_done_again(
    given: tuple[Path, Photos], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = given
    assert main(words_of(folder, tmp_path / "out")) == 0
    before, said = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}, capsys.readouterr().out
    assert main(words_of(folder, tmp_path / "out")) == 0
    assert capsys.readouterr().out == said
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_other_words__are_refused_where_an_import_is(
    given: tuple[Path, Photos], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = given
    assert main(words_of(folder, tmp_path / "out")) == 0
    assert main(words_of(folder, tmp_path / "out", "--seed", "3")) == 4
    assert "other split" in capsys.readouterr().err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    assert main(words_of(folder, tmp_path / "taken")) == 4


BAD = {
    "12\tabc\t1\t2\t3": "not 26 fields",
    "x7\tabc" + "\t1" * N_NUMBERS: "an id that is no whole number",
    "13\tabc" + "\t1" * (N_NUMBERS - 1) + "\tone": "a number that is none",
    "14\tabc" + "\t1" * (N_NUMBERS - 1) + "\t": "not 26 fields",
    "15\tabc\tnan" + "\t1" * (N_NUMBERS - 1): "a number that is not finite",
    "16\tabc\t1e39" + "\t1" * (N_NUMBERS - 1): "a number that is not finite",
}


def test_bad_lines__are_counted_and_set_aside_with_reasons(
    given: tuple[Path, Photos], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = given
    name = "YFCC100M_hybridCNN_gmean_fc6_0.txt.gz"
    good = gzip.decompress((folder / name).read_bytes()).decode().splitlines()
    lines = [*good[:20], *BAD, good[0], *good[20:]]
    (tmp_path / name).write_bytes(gzip.compress(("\n".join(lines)).encode()))  # the last line has no newline
    tags = bz2.decompress((folder / "yfcc100m_autotags.bz2").read_bytes())
    odd = [b"77\tfood", b"78\tfood:much", b"y\tfood:0.9", b"79\tfood:0.9\tmore", b"80\t\xff:0.9"]
    (tmp_path / "yfcc100m_autotags.bz2").write_bytes(
        bz2.compress(b"\n".join(odd) + b"\n" + tags + tags[: tags.index(b"\n") + 1])
    )
    assert main([*words_of(tmp_path, tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    reasons = [*BAD.values(), "an id that is there already"]
    assert told["bad_lines"] == {reason: reasons.count(reason) for reason in reasons}
    rejected = pq.read_table(tmp_path / "out" / "rejected" / "part-00000.parquet").to_pylist()
    numbered = {row["line"]: row["reason"] for row in rejected if row["line"] is not None}
    assert numbered == {20 + place: reason for place, reason in enumerate(BAD.values(), 1)}
    assert set(told["prepared"]["bad_lines"]["yfcc100m_autotags.bz2"]) == {
        "a tag without a score",
        "an id that is no whole number",
        "not 2 fields",
        "text that is not UTF-8",
        "an id that is there already",
    }
    n_good = len([one for one in map(int, (line.split("\t")[0] for line in good)) if photos.tags[one]])
    assert told["rows"]["train"] + told["rows"]["validation"] == n_good
    assert told["left_out"]["no tag that counts"] == N_ROWS - n_good
    assert {row["id"] for row in rows_of(tmp_path / "out")} <= set(photos.x)


@pytest.mark.parametrize("n_fields", [23, 25])
def test_metadata__of_both_editions(n_fields: int, given: tuple[Path, Photos], tmp_path: Path) -> None:
    folder, photos = given
    known = list(photos.owners.items())[:100]
    lines = [metadata_line(number, one, owner, n_fields=n_fields) for number, (one, owner) in enumerate(known)]
    (tmp_path / "yfcc100m_dataset").write_text("".join(lines))
    assert main(words_of(folder, tmp_path / "out", "--metadata", str(tmp_path / "yfcc100m_dataset"))) == 0
    rows = rows_of(tmp_path / "out")
    assert {row["id"]: row["owner"] for row in rows} == {
        one: owner for one, owner in known if one in labels_of(photos, 0, set(TAG_NAMES))
    }


def test_one_photo_in_two_files__is_told(
    given: tuple[Path, Photos], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = given
    tagged = [one for one in photos.x if photos.tags[one]][:1]
    for number in (0, 1):
        x = np.array([photos.x[tagged[0]]])
        write_features(tmp_path / f"YFCC100M_hybridCNN_gmean_fc6_{number}.txt.gz", np.array(tagged), x)
    (tmp_path / "yfcc100m_autotags.bz2").write_bytes((folder / "yfcc100m_autotags.bz2").read_bytes())
    assert main(words_of(tmp_path, tmp_path / "out")) == 3
    assert str(tagged[0]) in capsys.readouterr().err


def test_truncated_file__is_told_and_what_is_done_stays(
    given: tuple[Path, Photos], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = given
    for path in folder.iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[: len(content) // 2] if "_1." in path.name else content)
    assert main(words_of(tmp_path, tmp_path / "out")) == 3
    assert "YFCC100M_hybridCNN_gmean_fc6_1.txt.gz" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out" / "train").glob("part*")] == ["part-00000.parquet"]
    with importing._held(tmp_path / "out" / "_import"):
        assert main(words_of(tmp_path, tmp_path / "out")) == 4
    assert "that nobody works on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import"], 2, "yfcc100m"),
        (["import", "yfcc100m", "--features", "x"], 2, "--autotags FILE"),
        (
            ["import", "npy", "--tags", "3", "--folder", "a", "--label", "b", "--output", "c"],
            2,
            "one of another format",
        ),
        (["import", "npy", "--folder", "/no/such", "--label", "b", "--output", "c"], 3, "files *.npy"),
    ],
)
def test_words__that_cannot_be_used(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_values__of_what_was_imported(given: tuple[Path, Photos], tmp_path: Path) -> None:
    import dvspark

    folder, photos = given
    assert main(words_of(folder, tmp_path / "in", "--metadata", str(folder / "yfcc100m_dataset.bz2"))) == 0
    tables = [f"--{side}={tmp_path / 'in' / side}" for side in SIDES]
    words = ["value", *tables, "--train.owner=owner", "--engine=local", "--k=5", f"--output={tmp_path / 'out'}"]
    assert main([*words, "--report=false"]) == 0
    values = dvspark.read_values(str(tmp_path / "out"))
    rows = {side: table.sort_by("id").to_pylist() for side, table in both(tmp_path / "in").items()}
    x = {side: np.array([photos.x[row["id"]] for row in of]) for side, of in rows.items()}
    y = {side: [row["label"] for row in of] for side, of in rows.items()}
    expected = dvspark.value_arrays(x["train"], y["train"], x["validation"], y["validation"], k=5)
    by_id = dict(zip(values["id"].to_pylist(), values["value"].to_pylist(), strict=True))
    np.testing.assert_array_equal([by_id[row["id"]] for row in rows["train"]], expected)

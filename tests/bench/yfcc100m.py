"""The experiment that dvspark began with, from files to pictures: `python -m tests.bench.yfcc100m`.

YFCC_ROWS=1500000 makes it as large as that experiment; it then needs 60 GB of disk. YFCC_FOLDER: where.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dvspark.spark.session import open_session
from dvspark.tables.imports.bad_lines import BadLines
from dvspark.tables.imports.feature_lines import feature_rows
from dvspark.tables.imports.importing import import_tables
from dvspark.tables.imports.sides import Split
from dvspark.tables.imports.yfcc100m import Yfcc100m, feature_files
from tests.bench.frame import Result, Row, apart, at_least, cpu_seconds, result, run, say
from tests.bench.jobs import run_jobs
from tests.bench.memory import MIB
from tests.bench.photos import N_PIECES, N_TEXTS, piece_texts, write_photos
from tests.bench.sharded import Watch

QUESTION = "What do YFCC100M's files take, from text to the pictures that a query owes its answer to?"
METHOD = """\
Random photos in exactly the formats of YFCC100M-HNfc6 (gzip), autotags and metadata (bzip2), 4,096 numbers a photo, in
two files; an id has one to three tags of 32. They are imported in one process, all photos with their tags, owners and
links, about 512 of them as validation rows; "of text" is before compression, and CPU seconds are those of everything:
decompression, parsing, the join, Parquet, checksums. Then a job values the rest in local[2] with the sharded plan,
k = 10, Euclidean distance, two tag sets matching if they share a tag; and the contributors of one validation photo are
looked up by `top_contributors`, with the links to their pictures. Rows are as many as the first table says: the article
has 1.5 million."""
N_ROWS, TINY_ROWS = int(os.environ.get("YFCC_ROWS", "100000")), 600
N_NUMBERS, TINY_NUMBERS = 4_096, 32
N_FILES = 2
N_POINTS = 512
LEAST_MB_A_SECOND = 60.0
K = 10
DRIVER_MEMORY = {"spark.driver.memory": "4g"}
# Of blocks that the parser is measured on, in lines.
BLOCK_LINES = 400


def main(tiny: bool = False) -> Result:
    """Write the files, import them, value the photos, look contributors up; eight minutes and 9 GB at 100,000 rows."""
    n_rows, n_numbers = (TINY_ROWS, TINY_NUMBERS) if tiny else (N_ROWS, N_NUMBERS)
    share = 0.1 if tiny else N_POINTS / n_rows
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-", dir=os.environ.get("YFCC_FOLDER")) as folder:
        say(f"yfcc100m: writing {n_rows:,} photos of {n_numbers:,} numbers")
        n_bytes = write_photos(Path(folder) / "given", N_FILES, n_rows // N_FILES, n_numbers)
        say("yfcc100m: importing them")
        found, given = apart(imported, folder=folder, share=share), _bytes(Path(folder) / "given")
        shutil.rmtree(Path(folder) / "given")  # its space is needed for the index
        say("yfcc100m: valuing them")
        watch = Watch(Path(folder) / "work")
        settings = {"plan": "sharded", "work_dir": f"{folder}/work", "k": K, **_tables(folder)}
        job = apart(run_jobs, watch=watch, folder=folder, master="local[2]", conf=DRIVER_MEMORY, jobs=[settings])[0]
        say("yfcc100m: looking contributors up")
        shown = apart(contributors, folder=folder)
        tables = _bytes(Path(folder) / "tables")
    n_points, seconds = found["rows"]["validation"], job["stages"]
    speed = n_bytes / 1e6 / found["cpu_seconds"]
    targets = [at_least("MB of text imported in a CPU second", LEAST_MB_A_SECOND, speed)]
    sizes: list[Row] = [
        {"what": "photos imported for training", "measured": found["rows"]["train"]},
        {"what": "photos imported for validation", "measured": n_points},
        {"what": "text of features, MB", "measured": n_bytes / 1e6},
        {"what": "files as they are given, MB", "measured": given / 1e6},
        {"what": "tables, MB", "measured": tables / 1e6},
        {"what": "import, MB of text a CPU second", "measured": speed},
        {"what": "import, MB of text a second by the clock", "measured": n_bytes / 1e6 / found["seconds"]},
        {"what": "import, most memory of its process, MiB", "measured": found["bytes"] / MIB},
        {"what": "job, s", "measured": job["job_seconds"]},
        {"what": "values, ms a validation photo", "measured": 1e3 * seconds["value"] / n_points},
        {"what": "work folder, most, MiB", "measured": watch.disk / MIB},
        {"what": "embeddings mapped by one Python worker, most, MiB", "measured": watch.mapped / MIB},
        {"what": "anonymous memory of one Python worker, most, MiB", "measured": watch.anonymous / MIB},
        {"what": "driver's Python, MiB", "measured": job["driver_bytes"] / MIB},
        {"what": "contributors of a photo: index, s", "measured": shown["index_seconds"]},
        {"what": "contributors of a photo, s", "measured": shown["seconds"]},
        {"what": "processes that ran or waited for a core, in the end", "measured": os.getloadavg()[0]},
    ]
    tables_of = {
        f"{n_rows:,} photos of {n_numbers:,} numbers": sizes,
        "Seconds of the job's stages": [{"stage": name, "s": each} for name, each in seconds.items()],
        "The parser alone, on a block of text": parser_rows(n_numbers),
        f"Contributors of photo {shown['id']}, tags {', '.join(shown['tags'])}": shown["rows"],
    }
    return result("yfcc100m", QUESTION, METHOD, targets, tables_of)


def imported(folder: str, share: float) -> dict[str, Any]:
    """Import the files, and return rows, seconds and the largest memory of this process."""
    given = Path(folder) / "given"
    files = Yfcc100m(feature_files(given), given / "yfcc100m_autotags.bz2", given / "yfcc100m_dataset.bz2")
    started, cpu = time.monotonic(), time.process_time()
    record = import_tables(files, Path(folder) / "tables", Split(share))
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    n_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rows": record["rows"], "seconds": seconds, "cpu_seconds": cpu, "bytes": n_bytes}


def contributors(folder: str) -> dict[str, Any]:
    """Return the contributors of the first validation photo, with tags and links, and what it took."""
    from dvspark.functions import build_index, top_contributors

    with open_session("local[2]", DRIVER_MEMORY) as spark:
        train, validation = (spark.read.parquet(f"{folder}/tables/{side}") for side in ("train", "validation"))
        started = time.monotonic()
        index = build_index(train.select("id", "embedding", "label"), directory=f"{folder}/index")
        index_seconds, started = time.monotonic() - started, time.monotonic()
        points = validation.orderBy("id").limit(1)
        (point,) = points.withColumn("found", top_contributors(index, k=K, top=3)("embedding", "label")).collect()
        seconds = time.monotonic() - started
    values = {row["id"]: row["value"] for row in point["found"]}
    columns = ["id", "label", "picture"]
    known = pq.read_table(f"{folder}/tables/train", columns=columns, filters=[("id", "in", [*values])]).to_pylist()
    known = sorted(known, key=lambda row: -values[row["id"]])
    rows = [{"picture": row["picture"], "tags": ", ".join(row["label"]), "value": values[row["id"]]} for row in known]
    times = {"index_seconds": index_seconds, "seconds": seconds}
    return {"id": point["id"], "tags": list(point["label"]), "rows": rows, **times}


def parser_rows(n_numbers: int) -> list[Row]:
    """Return the parser's speed on numbers of which none, or half, are 0."""
    rows = []
    for share in (0.0, 0.5):
        rng = np.random.default_rng(1)
        texts = piece_texts(rng, n_numbers, share)
        lines = [
            b"%d\tabc\t%s\n" % (one, b"\t".join(texts[piece][one % N_TEXTS] for piece in range(N_PIECES)))
            for one in range(BLOCK_LINES)
        ]
        text = b"".join(lines)
        seconds = cpu_seconds(lambda text=text: feature_rows(text, 1, n_numbers, BadLines("block")), 3)
        rows.append({"numbers that are 0": f"{share:.0%}", "MB a CPU second": len(text) / 1e6 / seconds})
    return rows


def _tables(folder: str) -> dict[str, Any]:
    return {side: {"path": f"{folder}/tables/{side}"} for side in ("train", "validation")}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    run(main)

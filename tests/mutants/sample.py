"""Mutants: a seeded sample of small faults, each put into a copy of the project, for its tests to find.

Faults are those of cosmic-ray's operators. Its own runs take all of them, in the working tree, with one command for all
modules; hence this driver. usage: python -m tests.mutants.sample --python .venv/bin/python [--n 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PACKAGES = ("kernels", "privacy", "runs", "tables")
# What tells games apart whatever the kernel.
OF_KERNELS = tuple(f"tests/unit/test_{name}.py" for name in ("vectors", "value_properties", "family_properties"))
# A file of Spark tests takes a minute or two.
MOST_SPARK_FILES = 2
# A mutant that takes longer than this hangs, and is found.
MOST_SECONDS = 1200


@dataclass(frozen=True)
class Mutant:
    """One fault: an operator's ``occurrence`` in a module, from the ``line`` it is in, ``before`` and ``after``."""

    module: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


def main() -> None:
    """Run the sample's mutants that have no result yet, each against the tests that cover it, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="with the project's dependencies")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    asked = parser.parse_args()
    known = read(asked.results)
    with tempfile.TemporaryDirectory(prefix="dvspark-mutants-") as folder:
        copy = copied(Path(folder) / "copy")
        for mutant in sample(asked.n, asked.seed):
            if key(asdict(mutant)) in known:
                continue
            told = asdict(mutant) | tested(mutant, copy, asked.python.absolute())
            with asked.results.open("a") as results:
                results.write(json.dumps(told) + "\n")
            print(told["outcome"], mutant.module, mutant.line, mutant.before, "→", mutant.after, flush=True)
    reasons = {cause(one): one["reason"] for one in json.loads((HERE / "equivalent.json").read_text())}
    told_all = read(asked.results).values()
    survived = [told for told in told_all if told["outcome"] == "survived"]
    left = [told for told in survived if cause(told) not in reasons]
    n_killed, n_equivalent = len(told_all) - len(survived), len(survived) - len(left)
    print(f"{n_killed} killed, {n_equivalent} equivalent, {len(left)} survived")
    for told in left:
        print(f"  {told['module']}:{told['line']}\n    {told['before']}\n    {told['after']}")
    raise SystemExit(bool(left))


def key(told: dict[str, Any]) -> tuple[Any, ...]:
    """Return what names a mutant of one state of the project."""
    return tuple(told[field.name] for field in fields(Mutant))


def cause(told: dict[str, Any]) -> tuple[Any, ...]:
    """Return what names a fault wherever its line has moved to."""
    return tuple(told[name] for name in ("module", "before", "after"))


def read(results: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the results so far; later ones count."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {key(told): told for told in map(json.loads, lines)}


def sample(n: int, seed: int) -> Iterator[Mutant]:
    """Yield ``n`` mutants, of each package in turn: places drawn at random, and for each one fault that it can have."""
    draw = random.Random(seed)
    drawn = [mutants(package, draw) for package in PACKAGES]
    for _ in range(-(-n // len(drawn))):
        for of_package in drawn:
            yield next(of_package)


def mutants(package: str, draw: random.Random) -> Iterator[Mutant]:
    """Yield mutants of a package's modules, a place at a time, in an order drawn at once."""
    found: dict[tuple[Path, tuple[int, int]], list[tuple[str, int]]] = {}
    for path in sorted((ROOT / "dvspark" / package).rglob("*.py")):
        for place, fault in faults(path.read_text()):
            found.setdefault((path, place), []).append(fault)
    places = sorted(found)
    for path, place in draw.sample(places, len(places)):
        mutant = changed(path, *draw.choice(found[path, place]))
        if mutant is not None:
            yield mutant


def faults(source: str) -> Iterator[tuple[tuple[int, int], tuple[str, int]]]:
    """Yield each place that can be mutated, outside of annotations, with an operator and its occurrence."""
    inert = annotations(source)
    tree = get_ast(source)
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue
        positions = (position for node in ast_nodes(tree) for position in operator().mutation_positions(node))
        for occurrence, (start, _) in enumerate(positions):
            if not any(begin <= start < end for begin, end in inert):
                yield start, (name, occurrence)


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where annotations are, and what is for type checkers alone: nothing reads them when code runs."""
    found = []
    for node in ast.walk(ast.parse(source)):
        inert = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            inert.append(node)
        for one in inert:
            if isinstance(one, ast.AST) and hasattr(one, "end_lineno"):
                found.append(((one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)))
    return found


def changed(path: Path, operator: str, occurrence: int) -> Mutant | None:
    """Return a mutant, or None where the fault changes nothing."""
    source = path.read_text()
    try:
        mutated = mutate_code(source, get_operator(operator)(), occurrence) or source
    except AttributeError:  # cosmic-ray 8.7, of an exception that is named with its module
        return None
    pairs = zip(source.splitlines(), mutated.splitlines(), strict=False)
    for line, (before, after) in enumerate(pairs, 1):
        if before != after:
            name = str(path.relative_to(ROOT))
            return Mutant(name, operator, occurrence, line, before.strip(), after.strip())
    return None


def copied(folder: Path) -> Path:
    """Return a copy of all files that are under version control."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def tested(mutant: Mutant, copy: Path, python: Path) -> dict[str, object]:
    """Return the outcome of the tests that cover the module, with the mutant in its place."""
    source, target = (ROOT / mutant.module).read_text(), copy / mutant.module
    mutated = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    files = covering(mutant.module) or ["tests/unit"]
    command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "ci", *files]
    caches = {"PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(copy.parent / "numba")}
    environment = os.environ | caches | {"PYTHONPATH": str(copy)}
    begun = time.monotonic()
    target.write_text(str(mutated))
    try:
        run = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
        outcome = "killed" if run.returncode else "survived"
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
        by = found[1] if found else ""
    except subprocess.TimeoutExpired:
        outcome, by = "killed", "time"
    finally:
        target.write_text(source)
    return {"outcome": outcome, "by": by, "seconds": round(time.monotonic() - begun), "n_files": len(files)}


def covering(module: str) -> list[str]:
    """Return the tests that cover a module, those of `tests/unit` first.

    What reads tables and keeps runs meets Spark: there the Spark tests that name it most often come after these.
    """
    with_spark = naming(module, "spark")[:MOST_SPARK_FILES] if module.split("/")[1] in ("runs", "tables") else []
    return naming(module, "unit") + with_spark


def naming(module: str, folder: str) -> list[str]:
    """Return the tests that name the module, what it defines, or a module that imports it: first its own."""
    source = ast.parse((ROOT / module).read_text())
    kinds = ast.FunctionDef | ast.ClassDef
    names = [node.name for node in source.body if isinstance(node, kinds) and not node.name.startswith("_")]
    words = re.compile(rf"\b(?:{'|'.join([Path(module).stem, *names, *importers(module)])})\b")
    tests = sorted((ROOT / "tests" / folder).rglob("test_*.py"))
    counts = {str(path.relative_to(ROOT)): len(words.findall(path.read_text())) for path in tests}
    if folder == "unit" and module.startswith("dvspark/kernels/"):
        counts |= {name: counts[name] or 1 for name in OF_KERNELS}
    own = f"test_{Path(module).stem}.py"
    return sorted((name for name, n in counts.items() if n), key=lambda name: (Path(name).name != own, -counts[name]))


def importers(module: str) -> list[str]:
    """Return the names of the modules that import one."""
    package, name = str(Path(module).parent).replace("/", "."), Path(module).stem
    line = re.compile(rf"^\s*from {package}(?:\.{name} import| import .*\b{name}\b)", re.MULTILINE)
    return [path.stem for path in (ROOT / "dvspark").rglob("*.py") if line.search(path.read_text())]


if __name__ == "__main__":
    main()

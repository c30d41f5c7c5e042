"""The house: sizes of modules and functions, one name a class, one meaning a word."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dvspark

PACKAGE = Path(dvspark.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES, MOST_OF_A_FUNCTION = 300, 50
# Endings of files that docstrings name.
FILES = {"csv", "json", "py"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module__is_read_at_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {one.name: (one.end_lineno or 0) - one.lineno + 1 - _head(one) for one in functions}
    assert {name: n for name, n in lines.items() if n > MOST_OF_A_FUNCTION} == {}


def _head(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of the signature and the docstring, which are read apart."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    end = (first.end_lineno or 0) if is_docstring else first.lineno - 1
    return end - function.lineno + 1


def test_classes__have_names_of_their_own() -> None:
    found = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, n in found.items() if n > 1] == []


def test_test_files__have_names_of_their_own() -> None:
    # pytest imports them by name alone, and refuses the second one.
    found = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, n in found.items() if n > 1] == []


def test_kinds__are_asked_and_nobody_asks_which_kind_it_is() -> None:
    pattern = re.compile(r"needs ==|(method|declaration)\.kind ==|isinstance\([^)]*Method\)")
    outside = [path for path in MODULES if "kinds" not in path.parts]
    assert [_name(path) for path in outside if pattern.search(path.read_text())] == []


def test_stages__give_results_that_nobody_writes_to() -> None:
    classes = [
        node
        for path in (PACKAGE / "run").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases)
    ]
    assert [c.name for c in classes if "dataclass(frozen=True)" not in map(ast.unparse, c.decorator_list)] == []


def test_packages__say_what_they_are_for() -> None:
    pages = [path for path in MODULES if path.name == "__init__.py"]
    assert [_name(path) for path in pages if not ast.get_docstring(ast.parse(path.read_text()))] == []


def glossary_words() -> list[str]:
    """Return the words of the glossary in order; a line may have several, with commas between."""
    rows = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    words = [re.sub(r" \(.*\)", "", word).strip() for row in rows for word in row.split(",")]
    return [word for word in words if word != "word" and not set(word) <= set("- ")]


def test_glossary__has_each_word_once() -> None:
    words = glossary_words()
    assert words
    assert [word for word, n in Counter(words).items() if n > 1] == []


def test_glossary__has_no_word_beside_its_plural() -> None:
    words = set(glossary_words())
    assert [word for word in words if word + "s" in words] == []


def test_modules__import_each_other_in_no_circle() -> None:
    """Imports for types count, and those inside functions: where two modules name each other, neither is read alone."""
    paths = {_module(path): path for path in MODULES}
    needs = {name: {one for one in _imported(path, paths) if one != name} for name, path in paths.items()}
    tuple(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, modules: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def test_docstrings__name_modules_and_functions_that_are_there() -> None:
    """Names with a dot, whose first part is a package or a module: `kernels.memory.scratch_bytes`."""
    known = {".".join(parts[start:]) for parts in _names() for start in range(len(parts))}
    first = {part for path in MODULES for part in _module(path).split(".")} - {"spark"}  # Spark's own settings have it
    texts = {path: path.read_text(encoding="utf-8") for path in [*MODULES, ROOT / "docs" / "how_it_works.md"]}
    named = {(_name(path), one) for path, text in texts.items() for one in re.findall(r"`([a-z_]+(?:\.\w+)+)`", text)}
    named = {one for one in named if one[1].split(".")[-1] not in FILES}
    assert sorted(one for one in named if one[1].split(".")[0] in first and one[1] not in known) == []


def _names() -> Iterator[list[str]]:
    """Yield the parts of the whole name of each module, and of what it defines or imports, methods too."""
    for path in MODULES:
        module = _module(path).split(".")
        yield module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            for one in _bound(node):
                yield [*module, one]
                yield from ([*module, one, name] for part in inner for name in _bound(part))


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]

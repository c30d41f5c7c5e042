"""A real standalone cluster for the tests: one Master and two Workers, each a process of its own, on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

SPARK_HOME = Path(pyspark.__file__).parent
SUPPORT = Path(__file__).parent
REPOSITORY = SUPPORT.parents[1]
N_WORKERS = 2
# Each worker has an address of its own: a task's speculative copy runs on another host only.
WORKER_HOSTS = ("127.0.0.1", "127.0.0.2")
# A daemon is up in two to five seconds; on a machine under load it has taken twenty.
START_SECONDS = 90
# One job takes some ten seconds, half of them for two JVMs to start.
JOB_SECONDS = 180


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its master's URL, the folder under which everything of it lies, and what a worker has."""

    master: str
    folder: Path
    java_home: Path
    cores: int
    memory: str
    security: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """The host's cache of indexes, as all processes of this cluster see it."""
        return self.folder / "cache"

    def conf(self) -> dict[str, str]:
        """Return the settings of a job on this cluster."""
        return {
            "spark.driver.host": "127.0.0.1",  # executors call back; the host name may resolve to something else
            "spark.driver.bindAddress": "127.0.0.1",  # no port is open to the network
            "spark.ui.enabled": "false",  # saves a port and a second
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "WARN",  # what a failing test shows is then its own
            "spark.cores.max": str(N_WORKERS * self.cores),  # how many cores the ratio below is of
            "spark.executor.cores": str(self.cores),  # one executor a worker
            "spark.executor.memory": self.memory,  # all of a worker's memory, so that each worker has just one
            "spark.executorEnv.PYTHONPATH": _python_path(),  # executors must find this dvspark, not another
            "spark.executorEnv.DVSPARK_CACHE": str(self.cache),  # else the user's own cache would be used
            "spark.task.maxFailures": "1",  # a retry must not hide a failure
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # both executors are there before the first task
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
            "spark.sql.shuffle.partitions": "4",  # 200 tiny tasks take longer than the work
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),  # else it appears where pytest was started
            **self.security,
        }

    def environment(self) -> dict[str, str]:
        """Return the environment of a driver on this cluster."""
        return {**driver_environment(self.java_home), "DVSPARK_CACHE": str(self.cache)}

    def run_driver(
        self, script: Path, *words: str, seconds: float = JOB_SECONDS, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script that starts its own session, in a process of its own with these variables besides."""
        command = [sys.executable, str(script), *words]
        return run_process(command, {**self.environment(), **variables}, self.folder, seconds)

    def spark_submit(self, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script as `spark-submit --master ... --deploy-mode client` does."""
        return submit(self.master, self.conf(), script, *words, environment=self.environment(), folder=self.folder)


@contextmanager
def start_cluster(
    folder: Path, java_home: Path, *, cores: int = 1, memory: str = "512m", security: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """Yield a cluster whose workers have all registered; its processes end with the block, by their ids.

    ``cores`` and ``memory`` are what each worker gives to its one executor; ``security`` are settings that daemons and
    jobs must share.
    """
    properties = folder / "cluster.conf"
    properties.touch(mode=0o600)  # a secret in a command's words would be seen by all users of the machine
    properties.write_text("".join(f"{name} {value}\n" for name, value in (security or {}).items()))
    with ExitStack() as processes:
        log = folder / "master.log"
        ports = ["--port", "0", "--webui-port", "0", "--properties-file", str(properties)]  # 0: any free port
        words = ["--host", "127.0.0.1", *ports]
        master = processes.enter_context(_daemon(folder, java_home, "master.Master", log, words))
        url = _wait_for(log, r"Starting Spark master at (spark://\S+)", 1, [master])[0]
        workers = []
        for number, host in enumerate(WORKER_HOSTS):
            name = f"worker-{number}"
            words = [
                "--host",
                host,
                *ports,
                "--cores",
                str(cores),
                "--memory",
                memory,
                "--work-dir",
                str(folder / name),
                url,
            ]
            daemon = _daemon(folder, java_home, "worker.Worker", folder / f"{name}.log", words)
            workers.append(processes.enter_context(daemon))
        _wait_for(log, r"Registering worker (\S+)", N_WORKERS, [master, *workers])
        yield Cluster(url, folder, java_home, cores, memory, security or {})


@contextmanager
def _daemon(folder: Path, java_home: Path, name: str, log: Path, words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *words]
    environment = {
        **driver_environment(java_home),
        "SPARK_DAEMON_MEMORY": "256m",  # 1 GB each is for clusters of hundreds
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # its port is fixed: two clusters would collide
    }
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=folder)
        try:
            yield process
        finally:
            process.terminate()  # spark-class replaces itself by Java: this is the daemon's own id
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(log: Path, pattern: str, count: int, processes: list[subprocess.Popen[bytes]]) -> list[str]:
    """Return what the pattern caught, once the log has it ``count`` times."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = re.findall(pattern, log.read_text(errors="replace"))
        if len(found) >= count:
            return found
        ended = [process.args for process in processes if process.poll() is not None]
        if ended:
            raise RuntimeError(f"ended before the cluster was up: {ended}\n{log.read_text(errors='replace')}")
        time.sleep(0.1)  # between two looks at the log
    raise TimeoutError(f"no {pattern!r} × {count} within {START_SECONDS} s in {log}:\n{log.read_text()}")


def submit(
    master: str,
    conf: dict[str, str],
    script: Path,
    *words: str,
    environment: dict[str, str],
    folder: Path,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a script by `spark-submit`, with further options of it; the driver is a process of this machine."""
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", master, "--deploy-mode", "client", *settings]
    return run_process([*command, *options, str(script), *words], environment, folder)


def run_process(
    command: list[str], environment: dict[str, str], folder: Path, seconds: float = JOB_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it printed is kept for the test."""
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )


def driver_environment(java_home: Path) -> dict[str, str]:
    """Return the environment of a process that is to start Spark: this interpreter, this package, loopback."""
    # What describes another Spark, or configures the job from outside, must not leak in from the shell.
    leaks = ("SPARK_", "PYSPARK_", "DVSPARK_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(leaks)}
    return {
        **kept,
        "JAVA_HOME": str(java_home),
        "SPARK_LOCAL_IP": "127.0.0.1",  # daemons and their pages listen on loopback alone
        "PYSPARK_PYTHON": sys.executable,  # else workers take python3 from PATH
        "PYTHONPATH": _python_path(),
    }


def _python_path() -> str:
    return f"{REPOSITORY}{os.pathsep}{SUPPORT}"

"""Headless Chromium: where it is, how it opens a page, and a tab of it that stays open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # continuous integration runs as root, where the sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def find_browser() -> str:
    """Return the path of Chromium; without it skip the test, or fail it in continuous integration."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        reason = f"none of {', '.join(NAMES)} is on PATH"
        # A skipped test in continuous integration would look like a passed one.
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found


def opened(browser: str, address: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Return what Chromium printed after it opened a page; its profile lies in a folder."""
    command = [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


class Tab:
    """A tab of headless Chromium that stays open: it is told what to do by the DevTools protocol, over two pipes."""

    def __init__(self, browser: str, folder: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Chromium reads from file 3 and writes to file 4.
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', browser]
        flags = [*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
        self._process = subprocess.Popen(
            [*shell, *flags], pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._last, self._session = b"", 0, {}
        self._events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to one call; what the browser tells meanwhile is kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self._events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=address)
        while not self._told("Page.loadEventFired"):
            self._events.append(self._next())

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Return what a JavaScript expression gives, once that is something; fail where it stays nothing."""
        end = time.monotonic() + seconds
        while not (found := self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]).get(
            "value"
        ):
            assert time.monotonic() < end, f"still nothing: {expression}"
            time.sleep(0.05)
        return found["value"]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for."""
        return [event["request"]["url"] for event in self._told("Network.requestWillBeSent")]

    def complaints(self) -> list[Any]:
        """Return what the page or the browser wrote to its console, and errors that nobody caught."""
        return [
            *self._told("Runtime.consoleAPICalled"),
            *self._told("Runtime.exceptionThrown"),
            *self._told("Log.entryAdded"),
        ]

    def close(self) -> None:
        """End the browser."""
        self.call("Browser.close")
        self._process.wait(60)
        os.close(self._in)
        os.close(self._out)

    def _told(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._events if event.get("method") == method]

    def _next(self) -> dict[str, Any]:
        """Return the next message. Raises: EOFError where the browser has ended."""
        while b"\0" not in self._read:
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

"""The documentation site: it builds without a warning, and a browser shows it and asks no other host for anything."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chromium import Tab, find_browser

import dvspark

ROOT = Path(__file__).parents[2]
ARTICLE = "document.querySelector('article')?.innerText"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of versions, with this one."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "conf" / "mkdocs.yml")]
    command += ["--site-dir", str(folder / dvspark.__version__)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Server(SimpleHTTPRequestHandler):
    """Serves the site and keeps quiet."""

    def log_message(self, *words: object) -> None:
        """What is missing is told by the browser."""


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """The address of the site on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{dvspark.__version__}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    tab = Tab(find_browser(), tmp_path_factory.mktemp("chromium"))
    yield tab
    tab.close()


@pytest.fixture
def tab(browser: Tab, site: str) -> Iterator[Tab]:
    """A tab whose page, in the end, has asked no other host for anything and has written nothing to the console."""
    yield browser
    host = site.removesuffix(f"{dvspark.__version__}/")
    assert [address for address in browser.requests() if not address.startswith((host, "data:"))] == []
    assert browser.complaints() == []


def text_of(document: str) -> str:
    """Return the words of a document's main part."""
    article = document.split("<article", 1)[1].split("</article>", 1)[0]
    return html.unescape(re.sub(r"<[^>]+>", "", article))


def test_llms__names_every_page_in_the_order_of_the_site(folder: Path) -> None:
    site = folder / dvspark.__version__
    links = re.findall(r"^- \[.+?\]\((.*?)\): \S", (site / "llms.txt").read_text(), flags=re.MULTILINE)
    assert links[:2] == ["./", "how_do_i/"]
    assert {path.stem for path in (ROOT / "docs").rglob("*.md")} - {"README"} <= {Path(link).name for link in links}
    assert all((site / link / "index.html").exists() for link in links)
    assert "value_arrays(" in (site / "llms-full.txt").read_text()


def test_versions__lead_to_this_one(folder: Path) -> None:
    assert [each["version"] for each in json.loads((folder / "versions.json").read_text())] == [dvspark.__version__]
    assert f"url={dvspark.__version__}/" in (folder / "index.html").read_text()


def test_commands__each_has_a_page(folder: Path) -> None:
    pages = (folder / dvspark.__version__ / "commands").iterdir()
    assert {page.name for page in pages} == {"value", "plan", "stream", "demo"}


def test_commands__a_page_is_what_the_help_prints(folder: Path) -> None:
    command, environment = [sys.executable, "-m", "dvspark", "plan", "--help"], {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=True)
    page = folder / dvspark.__version__ / "commands" / "plan" / "index.html"
    assert done.stdout.strip() in text_of(page.read_text(encoding="utf-8"))


@pytest.mark.browser
def test_browser__first_page_is_the_readme_and_names_the_version(tab: Tab, site: str) -> None:
    tab.open(site)
    assert "Which training rows carry a wrong label?" in tab.until(ARTICLE)
    assert tab.until("document.querySelector('.md-version__current').innerText").strip() == dvspark.__version__


@pytest.mark.browser
def test_browser__page_of_a_method_has_its_worked_case(tab: Tab, site: str) -> None:
    tab.open(f"{site}methods/knn_shapley/")
    assert "5/12 5/12 -1/12 1/4 0" in tab.until(ARTICLE)


@pytest.mark.browser
def test_browser__reference_has_the_signature_of_value_arrays(tab: Tab, site: str) -> None:
    tab.open(f"{site}api/#dvspark.value_arrays")
    text = " ".join(tab.until(ARTICLE).split())
    assert "value_arrays( x_train: ArrayLike | None, y_train: Any, x_validation:" in text
    assert "Raises: ConfigError for unusable options" in text


@pytest.mark.browser
def test_browser__search_finds_a_word(tab: Tab, site: str) -> None:
    tab.open(site)
    tab.until("document.querySelector('[data-md-component=search-query]').focus() || true")
    tab.call("Input.insertText", text="knapsack")
    assert "/methods/owner_knn_shapley/" in tab.until("document.querySelector('.md-search-result__link')?.href")

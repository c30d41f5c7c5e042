"""What `conf/mkdocs.yml` builds its site from: the repository's pages where they are, and pages that code writes."""

from __future__ import annotations

import ast
import html
import json
import os
import posixpath
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
from mkdocs.structure.files import File, Files, InclusionLevel

import dvspark
from dvspark.cli.declared import COMMANDS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.nav import Navigation
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md", "dvspark/demo/README.md")
MODULES = ("dvspark", "dvspark.functions", "dvspark.market", "dvspark.privacy")
LINK = re.compile(r"(?<=\]\()[^)#\s:]+")
LABELED = re.compile(r"\n(?=(?:Raises|Cost|Cost a point|Source|Warns): )")
ITEM = re.compile(r" *([-*]|\d+\.) +")
# Browsers show or save these as they are; any other file is published as text.
KNOWN = (".md", ".png", ".ipynb", ".txt")


def on_config(config: MkDocsConfig) -> None:
    """Put pages in place of the folders in ``nav``; let readers choose among versions where there is a list of them."""
    config.nav = _without_folders(config.nav, sorted({**_pages(), **_written()}))
    if _is_versioned(config):
        config.extra["version"] = {"provider": "mike"}  # its layout: folders of versions beside versions.json


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the theme's files, all pages, and what pages link to; names are the repository's, so links hold."""
    pages, written = _pages(), _written()
    linked = {target for name, text in pages.items() for target in _targets(name, text)}
    folders = {
        name: _folder_page(name) for name in linked if (ROOT / name).is_dir() and f"{name}/README.md" not in pages
    }
    listed = {f"{folder}/{path.name}" for folder in folders for path in _published(folder)}
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for name in sorted(name for name in {*pages, *linked, *listed} if (ROOT / name).is_file()):
        files.append(_placed(File(name, str(ROOT), config.site_dir, config.use_directory_urls)))
    for name, text in written.items():
        files.append(_placed(File.generated(config, name, content=text)))
    for name, text in folders.items():
        place = f"{name}/README.md"
        files.append(_placed(File.generated(config, place, content=text, inclusion=InclusionLevel.NOT_IN_NAV)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - a hook
    """Return the page as this builder wants it: links to folders lead to their pages, lists are indented by fours."""
    folder = posixpath.dirname(page.file.src_uri)

    def to_page(link: re.Match[str]) -> str:
        return f"{link[0]}/README.md" if (ROOT / folder / link[0]).is_dir() else link[0]

    return _indented_by_fours(LINK.sub(to_page, markdown))


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:  # noqa: ARG001 - a hook
    """Keep the order of pages for `llms.txt`."""
    config.extra["ordered_pages"] = nav.pages


def on_post_build(config: MkDocsConfig) -> None:
    """Write `llms.txt` and `llms-full.txt`; beside a folder that is named as the version, the list of versions."""
    site, pages = Path(config.site_dir), config.extra["ordered_pages"]
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", "", "## Pages", ""]
    lines += [f"- [{page.title}]({page.url or './'}): {_first_sentence(page)}" for page in pages]
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(map(_text, pages)), encoding="utf-8")
    if _is_versioned(config):
        _list_versions(site.parent)


class Paragraphs(griffe.Extension):
    """Docstrings whose lines on errors, cost and source are paragraphs of their own, as mkdocstrings shows them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put an empty line before each such line."""
        if obj.docstring:
            obj.docstring.value = LABELED.sub("\n\n", obj.docstring.value)


def _is_versioned(config: MkDocsConfig) -> bool:
    """Return whether the site is built to a folder that is named as the version, with others beside it."""
    return Path(config.site_dir).name == dvspark.__version__


def _pages() -> dict[str, str]:
    """Return the repository's pages that are shown, by name."""
    names = [*PAGES, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in sorted(names)}


@cache
def _written() -> dict[str, str]:
    """Return the pages that code writes, by name: of public names with their docstrings, and of each command's help."""
    reference = "".join(f"## {name}\n\n::: {name}\n    options: {{heading_level: 3}}\n\n" for name in MODULES)
    pages = {"docs/api.md": f"# Python reference\n\nThe public names of the package, by module.\n\n{reference}"}
    for name in COMMANDS:
        head = f"# dvspark {name}\n\nThis is what `dvspark {name} --help` prints."
        pages[f"docs/commands/{name}.md"] = f"{head}\n\n```text\n{_printed(name, '--help')}\n```\n"
    return pages


def _printed(*words: str) -> str:
    """Return what a command prints, told to keep to 100 columns."""
    command, environment = [sys.executable, "-m", "dvspark", *words], {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def _folder_page(folder: str) -> str:
    """Return a page that names what is in a folder, under what its package says it is."""
    package, published = ROOT / folder / "__init__.py", _published(folder)
    about = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) if package.exists() else None
    paths = sorted(path for path in (ROOT / folder).iterdir() if not path.name.startswith((".", "__pycache__")))
    shown = [f"- [`{path.name}`]({path.name})" if path in published else f"- `{path.name}`" for path in paths]
    return "\n".join([f"# {folder}/", "", *(about or "").splitlines()[:1], "", *shown])


def _published(folder: str) -> list[Path]:
    """Return the pages and sources in a folder. Other files are published only where a page links to them."""
    return [path for path in (ROOT / folder).iterdir() if path.suffix in (".md", ".py", ".ipynb")]


def _targets(name: str, text: str) -> set[str]:
    """Return the files and folders of the repository to which a page links."""
    found = {posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) for link in LINK.findall(text)}
    return {target for target in found if (ROOT / target).exists()}


def _placed(file: File) -> File:
    """Return the file with its place in the site: pages of docs/ at the top, what is no page as text."""
    text = "" if file.src_uri.endswith(KNOWN) else ".txt"
    file.dest_uri = file.dest_uri.removeprefix("docs/") + text
    return file


def _without_folders(entry: Any, names: list[str]) -> Any:
    """Return a part of ``nav`` in which each folder is replaced by its pages, the folder's own first."""
    if isinstance(entry, list):
        return [_without_folders(each, names) for each in entry]
    if isinstance(entry, dict):
        return {title: _without_folders(each, names) for title, each in entry.items()}
    if not entry.endswith("/"):
        return entry
    return sorted((name for name in names if name.startswith(entry)), key=lambda name: ("README" not in name, name))


def _indented_by_fours(markdown: str) -> str:
    """Return the text with what belongs to list items four spaces in a level, not where the item's text begins."""
    lines, begins, in_fence = [], [0], False
    for line in markdown.splitlines():
        indent = len(line) - len(line.lstrip())
        while line.strip() and indent < begins[-1]:
            begins.pop()
        lines.append((" " * 4 * (len(begins) - 1) + line[begins[-1] :]).rstrip())
        in_fence ^= line.lstrip().startswith("```")
        item = ITEM.match(line)
        if item and not in_fence and indent < begins[-1] + 4:
            begins.append(item.end())
    return "\n".join(lines)


def _text(page: Page) -> str:
    """Return a page as text: its Markdown, or what is made of it where docstrings come in."""
    markdown, made = page.markdown or "", page.content or ""
    if "\n::: " not in markdown:
        return markdown
    return re.sub(r"\n\s*\n", "\n\n", html.unescape(re.sub(r"<[^>]+>", "", made)))


def _first_sentence(page: Page) -> str:
    """Return the first sentence of a page's first paragraph, without links and bold; nothing where there is none."""
    for part in (page.markdown or "").split("\n\n"):
        if not part.startswith(("#", "|", ">", "!", "<", "    ", "```")) and not ITEM.match(part):
            text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", " ".join(part.split()))
            text = re.sub(r"^\*\*\w+\.\*\* ", "", text).replace("**", "")  # decisions begin with this word
            return re.split(r"(?<=[.?!]) ", text)[0]
    return ""


def _list_versions(folder: Path) -> None:
    """Write what the theme's choice of versions reads, newest first, and a page that leads to the newest."""
    names = [path.parent.name for path in folder.glob("*/llms.txt")]
    names.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)
    versions = [{"version": name, "title": name, "aliases": []} for name in names]
    (folder / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    to_newest = f'<!doctype html><meta http-equiv="refresh" content="0; url={names[0]}/">'
    (folder / "index.html").write_text(to_newest, encoding="utf-8")

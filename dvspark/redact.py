"""Redact: what logs, messages, records and reports may show: no secret, and nothing that forges a line."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"

# Names of Spark settings and environment variables whose value is a secret: one of their words, between dots, hyphens,
# underscores or small and capital letters, ends so. `spark.hadoop.fs.s3a.secret.key`, `AWS_ACCESS_KEY_ID`, `apikey` and
# `fs.azure.account.key.NAME.dfs.core.windows.net` are; `keyspace` is not. Names of settings only: `id: join_key` says
# which column has the ids, and is shown.
_SECRET_NAME = re.compile(r"(?:password|passwd|passphrase|secret|token|key|credential)s?(?![a-z0-9])")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A shorter value, such as `true`, is hidden under its name only: it occurs in messages that do not tell it.
SHORTEST_SECRET = 8
# scheme://user:password@ - not a port, which digits and a slash follow; `container@account` has no password. Lengths
# are bounded: the text may be a label of a megabyte.
_IN_URI = re.compile(r"(://[^/\s:@'\"]{0,200}):(?!\d{1,5}(?:/|$))[^\s'\"]{0,1000}@")
# ...?password=, ;sig=: JDBC, SAS tokens, signed links.
_IN_QUERY = re.compile(
    r"([?&;][\w.-]{0,60}(?:password|secret|token|key|credential|signature|sig)=)[^&;\s'\"]+", re.ASCII | re.IGNORECASE
)
# These reorder the characters around them, so that a text could be read as another one.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_remembered: set[str] = set()


def is_secret(name: str) -> bool:
    """Return whether a setting or environment variable of that name holds a secret."""
    return bool(_SECRET_NAME.search(_CAPITAL.sub("_", name).lower()))


def remember(settings: Any) -> None:
    """Remember the secrets among nested settings, for as long as the process lives: no text will show them."""
    for _, value in _secrets(settings, set()):
        if len(value) >= SHORTEST_SECRET:
            _remembered.add(value)


def redacted(text: str) -> str:
    """Return a text without passwords in URIs, and without the secrets of the environment and those remembered."""
    return _redacted(text, _known())


def redacted_tree(tree: Any) -> Any:
    """Return nested plain data with every text redacted, and what stands under a secret's name hidden.

    What is referred to twice is done once: a YAML bomb stays as small as it is.
    """
    return _redacted_tree(tree, _known(), {})


def visible(text: str) -> str:
    """Return a text on one line: control and reordering characters are written as escapes."""
    if text.isprintable():
        return text
    return "".join(_escape(character) if _is_invisible(character) else character for character in text)


def visible_lines(text: str) -> str:
    """Return a text whose further lines are indented, so that none can be taken for a line of its own."""
    first, *others = map(visible, text.split("\n"))
    return "\n".join([first, *(line if line.startswith(" ") else f"  {line}" for line in others)])


def _known() -> list[str]:
    """Return the secrets to look for, long ones first: one may be part of another."""
    of_environment = {value for name, value in os.environ.items() if is_secret(name) and len(value) >= SHORTEST_SECRET}
    return sorted(_remembered | of_environment, key=len, reverse=True)


def _redacted(text: str, known: list[str]) -> str:
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_URI.sub(rf"\1:{HIDDEN}@", text))
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(tree: Any, seen: set[int]) -> Iterable[tuple[str, str]]:
    if not isinstance(tree, (Mapping, list, tuple)) or id(tree) in seen:
        return
    seen.add(id(tree))
    if not isinstance(tree, Mapping):
        for item in tree:
            yield from _secrets(item, seen)
        return
    for name, value in tree.items():
        if is_secret(str(name)) and isinstance(value, (str, int)):
            yield str(name), str(value)
        yield from _secrets(value, seen)


def _redacted_tree(tree: Any, known: list[str], done: dict[int, Any]) -> Any:
    if isinstance(tree, str):
        return _redacted(tree, known)
    if not isinstance(tree, (Mapping, list, tuple)):
        return tree
    if id(tree) not in done:
        if isinstance(tree, Mapping):
            done[id(tree)] = copy = {}
            for name, value in tree.items():
                copy[name] = (
                    HIDDEN if value is not None and is_secret(str(name)) else _redacted_tree(value, known, done)
                )
        else:
            done[id(tree)] = items = []
            items += [_redacted_tree(item, known, done) for item in tree]
    return done[id(tree)]


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _REORDERING


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()

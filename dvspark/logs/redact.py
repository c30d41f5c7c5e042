"""Redact: keeps secrets, and text that could forge a line, out of logs, messages, records and reports."""

from __future__ import annotations

import base64
import functools
import html
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

# Names of Spark settings and environment variables whose value is a secret: one of their words, between dots, hyphens,
# underscores or small and capital letters, ends so. `spark.hadoop.fs.s3a.secret.key`, `AWS_ACCESS_KEY_ID`, `apikey`,
# `password2` and `fs.azure.account.key.NAME.dfs.core.windows.net` are; `keyspace` and `compat` are not. Names of
# settings only: `id: join_key` says which column has the ids, and is shown.
_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|passcode|secret|token|key|credential|signature|authorization|bearer|accesskeyid"
    r"|connection[_.-]?string|jaas[_.-]config|pwd|(?<!by)(?<!ask)(?<!com)pass"
    r"|(?<![a-z])(?:pat|sig|sas|jwt|cookie|dsn|auth|pw))s?\d*(?![a-z0-9])"
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Of the shell, and no password.
_FOLDERS = frozenset(("PWD", "OLDPWD"))
# A shorter value, such as `true`, is hidden under its name only: it occurs in messages that do not tell it. Numbers
# occur everywhere.
SHORTEST_SECRET, SHORTEST_OTHERS = 5, 8
_COMMON = frozenset(("false", "default", "simple", "enabled", "disabled", "required", "optional", "kerberos"))
# What is written for one may have another form, no piece of which is shorter.
SHORTEST_FORM = 5

# scheme://user:password@ - not a port, which digits and a slash follow, but where buckets have none. Lengths are
# bounded: the text may be a label of a megabyte.
_OF_BUCKET = r"(?:(?<=s3)|(?<=s3a)|(?<=s3n)|(?<=gs)|(?<=oss)|(?<=cosn))"
_IN_BUCKET_URI = re.compile(_OF_BUCKET + r"(://[^/\s:'\"]{0,200}):[^\s'\"]{0,1000}@")
_IN_URI = re.compile(r"(://[^/\s:'\"]{0,200}):(?!\d{1,5}(?:/|$))[^\s'\"]{0,1000}@")
# scheme://token@ - but for schemes whose users have no secret there: `abfss://container@account`.
_ALONE_IN_URI = re.compile(r"://([^/\s:@?#'\"]{1,1000})@")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_USERS = frozenset(("abfs", "abfss", "wasb", "wasbs", "adl", "hdfs", "viewfs", "ssh", "sftp", "ftp", "git+ssh"))
# name=value, name: value, "name": "value": JDBC, SAS tokens, signed links, settings and headers.
_SEPARATOR = re.compile(r"\\?['\"]?\s{0,8}([=:]|%3[Dd])\s{0,8}")
_NAME = re.compile(r"[\w.-]+\Z")
_VALUE = re.compile(
    r"\\\"([^\"\\\n]{1,1000})\\\"|\"((?:[^\"\\\n]|\\.){1,1000})\"|'((?:[^'\\\n]|\\.){1,1000})'|([^&;\s'\"]{1,1000})",
    re.DOTALL,
)
_REST_OF_LINE = re.compile(r"['\"]?([^\n'\"]{1,1000})")
# In a sentence a colon follows many a word; these are followed by nothing else.
_SURE = re.compile(
    r"(?:(?:password|passwd|passphrase|pwd|authorization|cookie|api[_-]?key)s?\d*|x-[\w-]{0,60}(?:key|token|secret))\Z"
)
_MAY_TELL = re.compile(
    r"pass|pwd?|secret|token|key|credential|sig|auth|bearer|connection.?string|jaas|pat|sas|jwt|cookie|dsn",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer\s{1,3})['\"]?[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
# --password S, and <password>S</password>.
_OPTION = re.compile(r"(--[\w-]{0,60}(?:password|passwd|secret|token)s?\s{1,3})[^\s-]\S{0,1000}", re.IGNORECASE)
_ELEMENT = re.compile(r"(<[\w.:-]{0,60}(?:password|passwd|secret|token)>)[^<]{1,1000}(?=</)", re.IGNORECASE)
# Tokens that are known by their shape, of AWS, GitHub, GitLab, Databricks, Slack, Google, npm and others; JWT; private
# keys.
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{1,10000}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
    r"|\b(?:sk-[\w-]{20,}|AIza[\w-]{30,}|ya29\.[\w.-]{16,}|npm_[A-Za-z0-9]{30,})"
    r"|\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|(?:gh[opusr]|github_pat|glpat|hf|xox[abprs])[_-][A-Za-z0-9_-]{16,}"
    r"|dapi[0-9a-f]{32}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
# These reorder the characters around them, so that a text could be read as another one.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_remembered: set[str] = set()


def is_secret(name: str) -> bool:
    """Return whether a setting or environment variable of that name holds a secret."""
    return bool(_SECRET_NAME.search(_CAPITAL.sub("_", name).lower()))


def remember(settings: Any) -> None:
    """Remember the secrets in nested settings as long as the process lives; no text will show them."""
    for value in _secrets(settings, set()):
        shortest = SHORTEST_OTHERS if value.isdigit() else SHORTEST_SECRET
        if len(value) >= shortest and value.lower() not in _COMMON:
            _remembered.add(value)


def redacted(text: str) -> str:
    """Return a text without secrets: those known by name, place or shape, remembered ones, and the environment's.

    Also hidden are their URL-encoded, escaped and base64 forms. A secret without a name that was never a setting cannot
    be known.
    """
    return _redacted(text, _known())


def redacted_tree(tree: Any) -> Any:
    """Return nested plain data with all texts redacted, and values under a secret's name hidden.

    Data that is referred to twice is processed once, so a YAML bomb stays as small as it is.
    """
    return _redacted_tree(tree, _known(), {})


def visible(text: str) -> str:
    """Return a text on one line, with control and reordering characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(_escape(character) if _is_invisible(character) else character for character in text)


def visible_tree(tree: Any) -> Any:
    """Return nested plain data with all texts on one line; it must not contain itself."""
    if isinstance(tree, str):
        return visible(tree)
    if isinstance(tree, Mapping):
        return {name: visible_tree(value) for name, value in tree.items()}
    return [visible_tree(item) for item in tree] if isinstance(tree, (list, tuple)) else tree


def visible_lines(text: str) -> str:
    """Return a text with its further lines indented, so that none can pass as a line of its own."""
    first, *others = map(visible, text.split("\n"))
    return "\n".join([first, *(line if line.startswith(" ") else f"  {line}" for line in others)])


def _known() -> tuple[str, ...]:
    """Return the texts to look for, long ones first, because one may be part of another."""
    found = set(_remembered)
    for name, value in os.environ.items():
        if is_secret(name) and name not in _FOLDERS:
            found.add(value)
        elif "://" in value:
            found.update(_secrets_in_text(value))
    return _forms(frozenset(value for value in found if value in _remembered or len(value) >= SHORTEST_OTHERS))


@functools.lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    forms = {form for secret in secrets for form in _forms_of(secret)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


@functools.lru_cache(maxsize=1024)
def _forms_of(secret: str) -> frozenset[str]:
    """Return the forms in which a text may contain a secret: plain, escaped, URL-encoded, or inside base64."""
    raw = secret.encode(errors="surrogatepass")
    encoded = [quote(raw, safe=safe) for safe in ("", "/", "/:@")] + [quote_plus(raw)]
    forms = [secret, unquote(secret), html.escape(secret), visible(secret), repr(secret)[1:-1], *encoded]
    forms += [re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in encoded]
    forms += [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    for offset in range(3):  # of the bytes before it; the characters that it shares with its neighbors are left out
        coded = base64.b64encode(bytes(offset) + raw).decode()
        coded = coded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
        forms += [coded, coded.replace("+", "-").replace("/", "_")]
    return frozenset([secret, *(form for form in forms if len(form) >= SHORTEST_FORM)])


def _redacted(text: str, known: tuple[str, ...]) -> str:
    for secret in known:
        text = text.replace(secret, HIDDEN)
    if "://" in text:
        text = _IN_BUCKET_URI.sub(rf"\1:{HIDDEN}@", text)
        text = _IN_URI.sub(rf"\1:{HIDDEN}@", text)
        text = _ALONE_IN_URI.sub(lambda found: found[0] if _is_user(found) else f"://{HIDDEN}@", text)
    if _MAY_TELL.search(text):
        for told in (_BEARER, _OPTION, _ELEMENT):
            text = told.sub(rf"\1{HIDDEN}", text)
        text = _without_named(text)
    return _SHAPES.sub(HIDDEN, text)


def _is_user(found: re.Match[str]) -> bool:
    return _scheme_before(found.string, found.start()) in _USERS


def _scheme_before(text: str, place: int) -> str:
    scheme = _SCHEME.search(text, max(0, place - 30), place)
    return "" if scheme is None else scheme[0].lower()


def _without_named(text: str) -> str:
    parts, done = [], 0
    for start, end in _named_values(text):
        parts += [text[done:start], HIDDEN]
        done = end
    return "".join([*parts, text[done:]])


def _named_values(text: str) -> Iterator[tuple[int, int]]:
    """Yield where values that follow a secret's name begin and end."""
    done = 0
    for separator in _SEPARATOR.finditer(text):
        name = _NAME.search(text, max(done, separator.start() - 80), separator.start())
        if separator.start() < done or name is None or not is_secret(name[0]):
            continue
        value = _VALUE.match(text, separator.end())
        if (plain := _CAPITAL.sub("_", name[0]).lower()).endswith(("authorization", "cookie")):
            value = _REST_OF_LINE.match(text, separator.end())
        elif plain in ("key", "keys") and text[name.start() - 1 : name.start()] not in ("?", "&", ";"):
            continue  # a word of any text
        elif separator[1] == ":" and not separator[0].startswith(("'", '"')) and not _SURE.search(plain):
            continue
        if value is not None and value.lastindex is not None:
            yield value.span(value.lastindex)
            done = value.end()


def _secrets(tree: Any, seen: set[int], named: bool = False) -> Iterator[str]:
    """Yield the values below a secret's name, and the secrets in texts."""
    if isinstance(tree, str):
        yield from [tree] if named else _secrets_in_text(tree)
    elif isinstance(tree, int) and named:
        yield str(tree)
    elif isinstance(tree, (Mapping, list, tuple)) and id(tree) not in seen:
        seen.add(id(tree))
        inner: Iterable[tuple[bool, Any]] = ((named, item) for item in tree)
        if isinstance(tree, Mapping):
            inner = ((named or is_secret(str(name)), value) for name, value in tree.items())
        for is_named, value in inner:
            yield from _secrets(value, seen, is_named)


def _secrets_in_text(text: str) -> Iterator[str]:
    """Yield the secrets in a setting, such as a URI. Its end is known, so a password may have any character."""
    for start, end in _named_values(text) if _MAY_TELL.search(text) else ():
        yield text[start:end]
    before, found, rest = text.partition("://")
    user, has_user, _ = rest.rpartition("@")
    if not found or not has_user:
        return
    scheme = _scheme_before(before, len(before))
    name, has_password, password = user.partition(":")
    if has_password and "/" not in name:
        if re.search(_OF_BUCKET + r"\Z", scheme) or not re.match(r"\d{1,5}(?:/|\Z)", password):
            yield password
    elif not has_password and "/" not in user and scheme not in _USERS:
        yield user


def _redacted_tree(tree: Any, known: tuple[str, ...], done: dict[int, Any]) -> Any:
    if isinstance(tree, str):
        return _redacted(tree, known)
    if not isinstance(tree, (Mapping, list, tuple)):
        return tree
    if id(tree) not in done:
        if isinstance(tree, Mapping):
            done[id(tree)] = copy = {}
            for name, value in tree.items():
                copy[_shown_name(name, known)] = (
                    HIDDEN if value is not None and is_secret(str(name)) else _redacted_tree(value, known, done)
                )
        else:
            done[id(tree)] = items = []
            items += [_redacted_tree(item, known, done) for item in tree]
    return done[id(tree)]


def _shown_name(name: Any, known: tuple[str, ...]) -> Any:
    """Return a key of a mapping without known secrets. Nothing else is hidden, so that keys stay distinct."""
    if isinstance(name, str):
        for secret in known:
            name = name.replace(secret, HIDDEN)
    return name


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _REORDERING


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()

"""What text may hold where it is shown or recorded: no secret, and no character that steers a terminal.

Every error, progress line, table and record of what was asked passes through here. Imports nothing of the project.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

S = TypeVar("S", bound=str)

MASK = "***"
SECRET_WORDS = {"KEY", "APIKEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS"}
"""Parts of the names of environment variables that hold secrets."""
FEWEST_CHARACTERS = 6
"""Of a value that is masked wherever it occurs; shorter ones are words and numbers too."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls but for tabs and line ends, changes of the direction of writing, halves of characters."""
_USER_IN_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>\\]{0,500}@")
_SLASH_IN_PASSWORD = re.compile(
    r"(?i)\b((?:https?|ftp|socks\w?)://)[^\s/?#:@\"'<>]{0,100}:(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>]{0,300}@"
)
_USER_ALONE = re.compile(r"\b[\w.-]{1,50}:[^\s/@:\"'<>]{3,200}(?=@[\w.-]+)")  # of an address without its scheme
_NAMED = r"(?:api[_-]?key|access[_-]?key|[a-z]*[_-]?token|secret|password|passwd|signature|sig|key)"
_IN_QUERY = re.compile(rf"(?i)([?&;](?:[\w-]{{0,40}}[_-])?{_NAMED}=)[^&\s#\"'<>]+")
_TYPED = re.compile(r"(?i)(--[a-z-]*(?:api-key|token|secret|password)(?:=|\s+))('[^']*'|\S+)")
_AFTER_ITS_NAME = re.compile(
    r"(?i)(\bauthorization\W{1,4}(?:bearer|basic|token)?\s*|\bx-api-key\W{1,4}|\bbearer\s+(?=\S*\d|\S{20}))"
    r"[\w.~+/=-]{8,}"
)
_BY_ITS_FORM = re.compile(r"\b(?:hf_|sk-|gh[pousr]_|github_pat_|xox[abprs]-|glpat-|AKIA|AIza)[\w-]{12,}")


def shown(text: S) -> S:
    """Text for a terminal: what would steer it is written out, `\\u001b`; JSON stays JSON, and markup markup."""
    if _STEERING.search(text) is None:
        return text
    return type(text)(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def masked(text: str, *secrets: str) -> str:
    """Text without secrets: passwords in addresses, keys by their form or after their name, and known ones.

    Args:
        secrets: values that are masked wherever they occur, beside those that the environment holds (`SECRET_WORDS`).
    """
    text = without(text, *secrets, *_environment())
    for pattern in (_USER_IN_URL, _SLASH_IN_PASSWORD):
        text = pattern.sub(rf"\g<1>{MASK}@", text)
    text = _USER_ALONE.sub(MASK, text)
    for pattern in (_IN_QUERY, _TYPED, _AFTER_ITS_NAME):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return _BY_ITS_FORM.sub(MASK, text)


def without(text: str, *secrets: str) -> str:
    """Text in which these values are masked, also where they are quoted or coded, and nothing else."""
    for form in _forms(set(secrets)):
        text = text.replace(form, MASK)
    return text


def plain(text: str, *secrets: str) -> str:
    """On one line, without secrets, and nothing that steers a terminal."""
    return shown(" ".join(masked(text, *secrets).split()))


def password_in(address: str) -> str:
    """The password of an address `https://user:password@host`; empty where it has none."""
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""


def typed_secrets(arguments: Sequence[str]) -> list[str]:
    """What a command line says after `--api-key`, `--token` and their like, and passwords in its addresses."""
    after = [value for name, value in pairwise(arguments) if _TYPED.fullmatch(f"{name} {value}")]
    joined = [found[2] for argument in arguments if (found := _TYPED.fullmatch(argument)) and "=" in found[1]]
    return [*after, *joined, *filter(None, map(password_in, arguments))]


def _environment() -> Iterator[str]:
    """Values of environment variables that hold secrets, and passwords in addresses of proxies and hubs."""
    for name, value in os.environ.items():
        if SECRET_WORDS & set(name.upper().split("_")):
            yield "" if value.startswith("/") and Path(value).exists() else value  # of a file that holds it
        elif "://" in value and "@" in value:
            yield password_in(value)


def _forms(secrets: set[str]) -> list[str]:
    """Each secret as it may be written, the longest first: as it is, in JSON, in an address, in base64."""
    forms: set[str] = set()
    for secret in secrets:
        secret = secret.strip()
        if len(secret) >= FEWEST_CHARACTERS:
            coded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
            percent = quote(secret, safe="", errors="surrogateescape")
            forms |= {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], percent, coded}
    return sorted(forms, key=lambda form: (-len(form), form))

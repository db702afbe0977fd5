"""Camera addresses without their secrets: cameras take passwords as `user:password@` and as query values."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

_USERINFO = re.compile(r"(?<=://)\S*@")  # to the last "@" of the word: a password may hold "@", "/" and quotes
_QUERY = re.compile(r"(?<=[?&;])([^\s=&;#?'\"]+)=[^\s&;#'\"]+")
_SECRET_KEY = re.compile(r"pass|pwd|psw|token|key|auth|secret|user|login|account|sig|cred", re.IGNORECASE)
_HIDDEN = "***"


def redact(text: str) -> str:
    """Any text, with the user information and the query values of every URL in it replaced by `***`."""
    return _QUERY.sub(rf"\1={_HIDDEN}", _USERINFO.sub(f"{_HIDDEN}@", text))


class Secret:
    """A URL that may hold a password: it never shows in `str`, `repr` or a log line; only `url` gives it out."""

    __slots__ = ("_parts", "_url")

    def __init__(self, url: str) -> None:
        self._url = url
        self._parts = _secrets(url)

    @property
    def url(self) -> str:
        """The real address, for opening it and nothing else."""
        return self._url

    def hide(self, text: str) -> str:
        """`text` without this URL's secrets, however a library spelled them, and without those of other URLs."""
        for part in self._parts:
            text = text.replace(part, _HIDDEN)
        return redact(text)

    def __str__(self) -> str:
        return self.hide(self._url)

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"


def _secrets(url: str) -> tuple[str, ...]:
    """Every spelling of every secret in the URL, longest first, so that none is cut in two by a shorter one."""
    try:
        password, query = urlsplit(url).password or "", urlsplit(url).query
    except ValueError:  # a password with a bracket makes no valid URL
        password, query = "", ""
    user_info = url.partition("://")[2].rpartition("@")[0]  # a password may itself hold "@" or "/"
    values = [value for key, value in parse_qsl(query) if _SECRET_KEY.search(key)]
    found = set()
    for secret in filter(None, (user_info, user_info.partition(":")[2], password, *values)):
        for spelling in (secret, unquote(secret)):
            found |= {spelling, quote(spelling, safe=""), quote_plus(spelling), repr(spelling)[1:-1]}
    # A secret of one or two letters would turn every message into asterisks; redact() still hides it within its URL.
    return tuple(sorted((s for s in found if len(s) > 2), key=len, reverse=True))

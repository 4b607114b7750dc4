"""Addresses (URLs) from outside, checked before anything is sent to them or shown of them."""

from __future__ import annotations

import re
import urllib.parse

LONGEST = 2000
_PRINTABLE = re.compile(r"[!-~]*\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z|[0-9A-Fa-f:.]+\Z")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def split(address: str) -> urllib.parse.SplitResult:
    """Return the parts of an http or https address; ValueError says in a few words what is wrong with it.

    Refused is what programs read in different ways, so that a check and a request could mean different hosts:
    backslashes, user information, characters that are not printable ASCII, hosts and ports of another form.
    """
    if len(address) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    if not _PRINTABLE.match(address) or "\\" in address:
        raise ValueError("it has a space, a backslash or a character that is not ASCII")
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is not https://HOST/…")
    if "@" in parts.netloc:
        raise ValueError("it has user information before its host")
    if not _HOST.match(parts.hostname) or port == 0:
        raise ValueError("its host or port cannot be read")
    return parts


def is_loopback(address: str) -> bool:
    """Return whether an address points to this machine; false for what is not an address."""
    try:
        name = split(address).hostname or ""
    except ValueError:
        return False
    return name in _LOOPBACK or name.endswith(".localhost")


def host_of(address: str) -> str:
    """Return the host and port of an address, which is all that may be shown of it."""
    try:
        return split(address).netloc
    except ValueError:
        return "an address that cannot be read"

"""How long a server asks to be left alone; whatever its headers hold, the answer is a number or nothing."""

from __future__ import annotations

import email.utils
import random
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"[0-9]{1,12}\Z")


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return the pause that `Retry-After` (seconds or a date) or `X-RateLimit-Reset` (Unix time) asks for.

    Both moments are the server's, so they are compared with its own `Date`: this machine's clock may be wrong.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.match(value):
        return float(value)
    sent = http_date(headers.get("date", ""))
    now = time.time() if sent is None else sent
    if value:
        moment = http_date(value)
        return None if moment is None else max(0.0, moment - now)
    reset = headers.get("x-ratelimit-reset", "").strip()
    return max(1.0, float(reset) - now) if _SECONDS.match(reset) else None


def http_date(value: str) -> float | None:
    """Return the Unix time that an HTTP header gives, None where it is no date."""
    try:
        return email.utils.parsedate_to_datetime(value[:100]).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def own_pause(attempt: int) -> float:
    """Return the seconds to wait before the next attempt where no server asks for any: doubling, with full jitter."""
    return random.uniform(0.1, min(8.0, 0.25 * 2**attempt))  # noqa: S311 - jitter, not a secret

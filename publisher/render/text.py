"""Text for pages: hostile characters made visible, and every number, time and name formatted in one place.

Commit subjects, model names and model output are written by strangers. Escaping is the templates' work (autoescape);
what is left for here are the characters that escaping does not touch: controls, bidirectional overrides and invisible
ones, which could hide or reorder what a reader sees.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from publisher.render.language import form, say, say_of
from publisher.visible import visible

_ADDRESS = re.compile(r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?\Z")
MINUS = "\u2212"
NONE = "–"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def line(text: str, most: int = 300) -> str:
    """Return `text` as one visible line of at most `most` characters, the end cut off with an ellipsis."""
    joined = " ".join(visible(text).split())
    return joined if len(joined) <= most else f"{joined[: most - 1]}…"


def address(text: str) -> str:
    """Return an http(s) address that consists of scheme, host and port only; nothing where `text` is anything else."""
    bare = text.rstrip("/")
    return bare if _ADDRESS.match(bare) else ""


def points(value: float, places: int = 1) -> str:
    """Return points with `places` decimals and a true minus sign."""
    rounded = f"{abs(value):.{places}f}"
    minus = MINUS if value < 0 and float(rounded) else ""
    return minus + _decimal(rounded)


def change(value: float) -> str:
    """Return a difference in points with its sign."""
    text = points(value)
    return text if text.startswith(MINUS) or not float(f"{value:.1f}") else f"+{text}"


def chance(p_value: float) -> str:
    """Return a p-value as people write it."""
    if p_value < 0.001:
        return f"p < {_decimal('0.001')}"
    return f"p = {_decimal(f'{p_value:.3f}' if p_value < 0.1 else f'{p_value:.2f}')}"


def changes(low: float, high: float) -> str:
    """Return the two ends of an interval of a difference, each with its sign."""
    return f"[{change(low)}, {change(high)}]"


def interval(low: float, high: float) -> str:
    """Return the two ends of an interval in points."""
    return f"{points(low)}{NONE}{points(high)}"


def count(value: float) -> str:
    """Return a whole number, with thin spaces between groups of thousands unless the language has another sign."""
    return f"{round(value):,}".replace(",", form("between thousands", "\u202f"))


def plural(value: int, noun: str) -> str:
    """Return a count with its noun in the right number; the catalogue has both forms as `%(count)s …`."""
    return say_of(f"%(count)s {noun}", f"%(count)s {noun}s", value, count=count(value))


def of_right(right: int, drawn: int) -> str:
    """Return how many of the drawn samples were right."""
    return say("%(right)s of %(drawn)s right", right=count(right), drawn=count(drawn))


def passed_of(passed: int, rules: int) -> str:
    """Return how many rules passed."""
    return say("%(passed)s of %(rules)s passed", passed=count(passed), rules=plural(rules, "rule"))


def each(problems: int, samples: int) -> str:
    """Return how many answers a score rests on."""
    return say(
        "%(problems)s, %(samples)s each", problems=plural(problems, "problem"), samples=plural(samples, "sample")
    )


def size(value: int) -> str:
    """Return a number of bytes in the unit that reads best."""
    amount = float(value)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{_decimal(f'{amount:.1f}')} {unit}"
        amount /= 1000
    return f"{_decimal(f'{amount:.1f}')} GB"


def duration(seconds: float) -> str:
    """Return a duration in the two units that matter."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{_decimal(f'{seconds:.1f}')} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _decimal(number: str) -> str:
    """Return a number with the decimal sign of the language."""
    return number.replace(".", form("decimal sign", "."))


def moment(stamp: str) -> datetime | None:
    """Return the UTC time in an ISO 8601 stamp, or None where it is not one."""
    try:
        parsed = datetime.fromisoformat(stamp)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # a moment in UTC may lie outside of the calendar
        return None


def time(stamp: str) -> str:
    """Return a stamp as `20 Nov 2026, 20:11 UTC`; what cannot be read stays as it is, made visible."""
    when = moment(stamp)
    return say("%(date)s, %(time)s UTC", date=_date(when), time=f"{when:%H:%M}") if when else line(stamp, 40)


def date(stamp: str) -> str:
    """Return the day of a stamp as `20 Nov 2026`."""
    when = moment(stamp)
    return _date(when) if when else line(stamp, 40)


def machine_time(stamp: str) -> str:
    """Return a stamp as ISO 8601 for `datetime` attributes and feeds; the epoch where it cannot be read."""
    when = moment(stamp) or datetime.fromtimestamp(0, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _date(when: datetime) -> str:
    return form("date", "%(day)s %(month)s %(year)s") % {
        "day": when.day,
        "month": form("month", _MONTHS[when.month - 1]),
        "year": when.year,
    }

"""How many builds may be asked for: Netlify limits their rate, and production deploys use up a plan's credits.

Counted from the ledger's own entries, so every publisher of a repository sees the same count. Months are the last 31
days, because a plan's month begins on any day of the calendar's. Netlify allows 3 builds a minute and 100 a day. Its
Free plan has 300 credits a month, a production deploy costs 15, and at 0 credits every address of every site pauses,
the permanent ones too; builds of other branches cost nothing on plans with credits, and build minutes on older plans.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from publisher.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.config import NetlifyConfig

MINUTE, DAY = 60.0, 86_400.0
MONTH = 31 * DAY
FREE_CREDITS, PRODUCTION_CREDITS = 300, 15
FREE_PRODUCTION = FREE_CREDITS // PRODUCTION_CREDITS
"""Production deploys that Netlify's Free plan has in a month if nothing else uses credits, and readers' requests do."""


def ages(times: Iterable[str], now: float) -> list[float]:
    """Return how many seconds ago each of some stored times was, the newest first; `now` is Unix time.

    A time in the future, which a machine wrote whose clock is wrong, counts as a minute ago: it was asked for, but
    nobody has to wait until that clock is right. What is no time at all is left out.
    """
    found = []
    for moment in times:
        try:
            read = dt.datetime.fromisoformat(moment)
            age = now - (read if read.tzinfo else read.replace(tzinfo=dt.UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
        found.append(age if age >= 0 else MINUTE)
    return sorted(found)


def wait_for_build(times: Iterable[str], now: float, *, per_minute: int, per_day: int, per_month: int = 0) -> float:
    """Return the seconds to wait before the next build may be asked for.

    `times` are the moments of earlier requests; a limit of 0 is none. Raises DeployError when the builds of a day or of
    a month are used up: that wait is too long for a command.
    """
    asked = ages(times, now)
    for span, most, words, option in (
        (DAY, per_day, "24 hours", "builds_per_day"),
        (MONTH, per_month, "31 days", "builds_per_month"),
    ):
        made = [age for age in asked if age < span]
        if most and len(made) >= most:
            raise DeployError(
                f"{len(made)} builds were asked for in the last {words}; the budget is {most}",
                hint=f"run publisher reconcile in {_span(span - made[most - 1])}, or raise [netlify] {option}",
            )
    recent = [age for age in asked if age < MINUTE]
    return MINUTE - recent[per_minute - 1] if per_minute and len(recent) >= per_minute else 0.0


def check_production(times: Iterable[str], now: float, *, per_month: int) -> None:
    """Raise DeployError when the last 31 days' production deploys, asked for at `times`, have used up the budget."""
    made = [age for age in ages(times, now) if age < MONTH]
    if per_month and len(made) >= per_month:
        raise DeployError(
            f"{len(made)} production deploys were made in the last 31 days; the budget is {per_month} "
            f"(Netlify's Free plan pays for {FREE_PRODUCTION} at most, and without credits every address pauses)",
            hint="set NETLIFY_AUTH_TOKEN: moving the live site by the API costs nothing; or wait "
            f"{_span(MONTH - made[per_month - 1])}, or raise [netlify] production_per_month",
        )


def left(builds: Iterable[str], production: Iterable[str], now: float, limits: NetlifyConfig) -> list[str]:
    """Return what is left of each budget, a sentence per limit; none for what has no limit."""
    asked, made = ages(builds, now), ages(production, now)
    counts = [
        ("builds", limits.builds_per_day, "24 hours", sum(age < DAY for age in asked)),
        ("builds", limits.builds_per_month, "31 days", sum(age < MONTH for age in asked)),
        ("production deploys", limits.production_per_month, "31 days", sum(age < MONTH for age in made)),
    ]
    return [
        f"{max(0, most - used)} of {most} {what} left ({used} in the last {words})"
        for what, most, words, used in counts
        if most
    ]


def _span(seconds: float) -> str:
    """Return a span of time as people say it."""
    return f"{seconds / DAY:.0f} days" if seconds > 2 * DAY else f"{seconds / 3600:.1f} hours"

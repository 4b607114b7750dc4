"""How fast builds may be asked for: Netlify allows 3 a minute and 100 a day, and production deploys cost credits.

Counted from the ledger's own entries, so every publisher of a repository sees the same count.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from publisher.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINUTE, DAY = 60.0, 86_400.0


def wait_for_build(times: Iterable[str], now: float, *, per_minute: int, per_day: int) -> float:
    """Return the seconds to wait before the next build may be asked for.

    `times` are the moments of earlier requests, `now` is Unix time; a limit of 0 is none. Raises DeployError when the
    day's builds are used up: that wait is too long to sit through.
    """
    ages = sorted(now - dt.datetime.fromisoformat(moment).timestamp() for moment in times)
    today = [age for age in ages if age < DAY]
    if per_day and len(today) >= per_day:
        hours = (DAY - today[per_day - 1]) / 3600
        raise DeployError(
            f"{len(today)} builds were asked for in the last 24 hours; the limit is {per_day}",
            hint=f"run publisher reconcile in {hours:.1f} hours, or raise [netlify] builds_per_day",
        )
    recent = [age for age in ages if age < MINUTE]
    return MINUTE - recent[per_minute - 1] if per_minute and len(recent) >= per_minute else 0.0


def check_production(moves: Sequence[str], now: float, *, per_month: int) -> None:
    """Raise DeployError when this calendar month's production deploys, made at the times `moves`, are used up."""
    month = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m")
    made = sum(moment.startswith(month) for moment in moves)
    if per_month and made >= per_month:
        raise DeployError(
            f"{made} production deploys were made in {month}; the budget is {per_month}",
            hint="set NETLIFY_AUTH_TOKEN: moving the live site by the API costs none; or raise production_per_month",
        )

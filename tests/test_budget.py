from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from publisher.config import NetlifyConfig
from publisher.errors import DeployError
from publisher.netlify.budget import FREE_PRODUCTION, check_production, left, wait_for_build
from publisher.publishing import allowance
from tests.shelf import shelf

TIMES = ["2026-11-20T10:00:00Z", "2026-11-20T10:00:20Z", "2026-11-20T10:00:30Z"]
AHEAD = ["2026-11-20T11:00:00Z", "2026-11-20T11:00:01Z", "2026-11-20T11:00:02Z"]
"""Requests of a machine whose clock is an hour ahead."""


def at(hours: int, minutes: int = 0, seconds: int = 0, *, day: int = 20) -> float:
    """Return a moment of November 2026 as Unix time."""
    return dt.datetime(2026, 11, day, hours, minutes, seconds, tzinfo=dt.UTC).timestamp()


def test_the_fourth_build_of_a_minute_waits() -> None:
    """It may be asked for once the first of the three is a minute old."""
    assert wait_for_build(TIMES, at(10, 0, 40), per_minute=3, per_day=100) == 20.0
    assert wait_for_build(TIMES, at(10, 1, 1), per_minute=3, per_day=100) == 0.0
    assert wait_for_build(TIMES, at(10, 0, 40), per_minute=0, per_day=0) == 0.0


def test_a_clock_that_is_ahead_blocks_nobody() -> None:
    """Times in the future count for the day and the month, but nobody waits until that clock is right."""
    assert wait_for_build(AHEAD, at(10), per_minute=3, per_day=100) == 0.0
    with pytest.raises(DeployError, match="the budget is 3"):
        wait_for_build(AHEAD, at(10), per_minute=3, per_day=3)


@pytest.mark.parametrize("moment", ["", "tomorrow", "9" * 5000, "0001-01-01T00:00:00+14:00", "2026-11-20"])
def test_a_spoiled_time_is_no_build(moment: str) -> None:
    """Whatever the ledger says, the others are counted."""
    assert wait_for_build([moment, *TIMES], at(10, 0, 40), per_minute=4, per_day=100) == 0.0


def test_the_last_build_of_a_day_is_rejected_with_the_wait() -> None:
    """A wait of hours is none for a command; the message says how long it is and which option to raise."""
    with pytest.raises(DeployError, match="the budget is 3") as caught:
        wait_for_build(TIMES, at(12), per_minute=3, per_day=3)
    assert "22.0 hours" in caught.value.hint
    assert "builds_per_day" in caught.value.hint


def test_the_builds_of_a_month_are_counted_too() -> None:
    """A month is 31 days, wherever the calendar's begins."""
    old = "2026-10-31T23:59:59Z"
    assert wait_for_build([old, *TIMES], at(12), per_minute=0, per_day=0, per_month=5) == 0.0
    with pytest.raises(DeployError, match="in the last 31 days"):
        wait_for_build([old, *TIMES], at(12), per_minute=0, per_day=0, per_month=4)


def test_the_months_production_deploys_are_counted() -> None:
    """The last 31 days' count, because a plan's month begins on any day."""
    check_production(["2026-10-19T23:59:59Z", *TIMES], at(12), per_month=4)
    with pytest.raises(DeployError, match="the budget is 4") as caught:
        check_production(["2026-10-31T23:59:59Z", *TIMES], at(12), per_month=4)
    assert "NETLIFY_AUTH_TOKEN" in caught.value.hint


def test_budgets_are_on_by_default_and_leave_a_reserve() -> None:
    """Without any setting, publishing stops before the Free plan's credits are used up."""
    limits = NetlifyConfig()
    assert 0 < limits.production_per_month < FREE_PRODUCTION
    assert limits.builds_per_month > 0
    with pytest.raises(DeployError):
        check_production(["2026-11-20T10:00:00Z"] * 15, at(12), per_month=limits.production_per_month)


def test_what_is_left_is_said_per_limit() -> None:
    """A limit that is off is not mentioned."""
    limits = NetlifyConfig(builds_per_day=100, builds_per_month=0, production_per_month=15)
    assert left(TIMES, TIMES[:1], at(12), limits) == [
        "97 of 100 builds left (3 in the last 24 hours)",
        "14 of 15 production deploys left (1 in the last 31 days)",
    ]


@pytest.mark.model
def test_doctor_says_what_is_left(tmp_path: Path) -> None:
    """Where the commit that one is on names a site."""
    with shelf(tmp_path) as on:
        on.publish()
        done = on.user.run("doctor")
        assert done.code == 0, done.err
        assert "99 of 100 builds left" in done.out
        assert "15 of 15 production deploys left" in done.out


def test_production_deploys_are_counted_by_their_calls(tmp_path: Path) -> None:
    """A call for the live site counts from its request on, unless it was not made; pins and moves by the API do not."""
    with shelf(tmp_path) as on:
        on.publish()
        call = {"schema": 1, "run_id": "r", "branch": "live", "commit": "c", "by": "b", "time": "2026-11-20T10:00:00Z"}
        answer = {"schema": 1, "attempt": 2, "outcome": "not made", "time": "2026-11-20T10:00:01Z"}
        own = "calls/live/000001-0123456789ab"
        on.forge(
            {
                f"{own}/request-1.json": call | {"attempt": 1},
                f"{own}/request-2.json": call | {"attempt": 2},
                f"{own}/answer-2.json": answer,
                f"{own}/request-3.json": b"[" * 10_000,
                "calls/pins/math-1/request-1.json": call | {"attempt": 1},
            }
        )
        project = on.project
        project.ledger.sync()
        assert allowance.production_times(project) == ["2026-11-20T10:00:00Z"]
        assert allowance.production_times(project, besides=own) == []
        assert len(allowance.build_times(project)) == 3

"""What readers send is hostile: what counts, what is set aside, and what cannot drown the rest."""

from __future__ import annotations

from typing import Any

import pytest

from publisher.netlify.forms import Submission
from publisher.publishing.canary import listen

RUN, OTHER = "20261120T201133Z-0123456789ab-full", "20261119T201133Z-ba9876543210-full"


def sent(number: int = 1, time: str = "2026-11-21T10:00:00.000Z", **data: Any) -> Submission:
    """Return a submission."""
    return Submission(id=str(number), number=number, created_at=time, data={"run": RUN, "rating": "4", **data})


@pytest.mark.parametrize(
    "data",
    [
        {"rating": "0"},
        {"rating": "6"},
        {"rating": "4.5"},
        {"rating": "٤"},
        {"rating": ["5"]},
        {"rating": 5},
        {"rating": "", "answer": ""},
        {"run": ""},
        {"run": "../../etc"},
        {"run": RUN + "\n"},
        {"answer": "javascript:alert(1)"},
        {"answer": "/samples/s/#p1-1\n"},
        {"answer": "/" + "a" * 900},
        {"answer": "/samples/s/?x#p1"},
        {"answer": "//elsewhere.example/"},
        {"answer": "/samples/../../x"},
    ],
)
def test_what_no_form_of_ours_sends_is_malformed(data: dict[str, Any]) -> None:
    """Ratings that are none, runs that are none, and addresses that are none are counted as that alone."""
    found = listen.clean([sent(**data)], 60, {RUN})
    assert (found.counted, found.malformed) == ([], 1)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_is_none_is_malformed(time: str) -> None:
    """A submission whose time cannot be read is left out, not fatal."""
    assert listen.clean([sent(time=time)], 60, {RUN}).malformed == 1


def test_a_comment_is_cut_and_harmless() -> None:
    """Control characters are spelled out, and no comment is longer than its bound."""
    (found,) = listen.clean([sent(comment="\x1b[31m\u202e" + "x" * 9_000)], 60, {RUN}).counted
    assert "\x1b" not in found.comment
    assert len(found.comment) < listen.LONGEST + 20


def test_a_flood_about_other_runs_drowns_nothing() -> None:
    """Thousands of submissions about something else in the same hour leave the candidate's ratings alone."""
    flood = [sent(number, run=OTHER) for number in range(5_000)]
    found = listen.clean([*flood, sent(rating="2")], 60, {RUN})
    assert ([one.rating for one in found.counted], found.flooded) == ([2], 0)


def test_a_flood_about_the_live_snapshot_leaves_the_candidate_alone() -> None:
    """Both have forms; a flood about one is set aside, and what is said of the other in the same hour counts."""
    flood = [sent(number, run=OTHER) for number in range(61)]
    found = listen.clean([*flood, sent(rating="2")], 60, {RUN, OTHER})
    assert ([(one.run_id, one.rating) for one in found.counted], found.flooded) == ([(RUN, 2)], 61)


@pytest.mark.parametrize("data", [{}, {"run": OTHER}, {"rating": "9"}])
def test_what_was_sent_before_it_began_is_left_out(data: dict[str, Any]) -> None:
    """A snapshot's own form takes ratings at any time; a gray release hears those of its own time, of both alike."""
    found = listen.clean([sent(**data)], 60, {RUN, OTHER}, began="2026-11-21T10:00:01Z")
    assert (found.counted, found.malformed) == ([], 0)
    same = listen.clean([sent(**data)], 60, {RUN, OTHER}, began="2026-11-21T10:00:00Z")
    assert len(same.counted) + same.malformed == 1


def test_a_flood_of_an_hour_is_set_aside_with_that_hour() -> None:
    """More than the policy's submissions in one hour do not count, and those of other hours do."""
    flood = [sent(number, rating="1") for number in range(61)]
    found = listen.clean([*flood, sent(99, time="2026-11-21T11:00:00Z")], 60, {RUN})
    assert ([one.rating for one in found.counted], found.flooded) == ([4], 61)


def test_ratings_of_one_second_stay_in_the_order_in_which_they_arrived() -> None:
    """In order of their size they would be no longer independent, and the bounds would not hold."""
    counted = listen.clean([sent(number, rating=rating) for number, rating in enumerate("5152")], 60, {RUN}).counted
    assert listen.rated(counted, [], RUN) == [5, 1, 5, 2]


def test_more_than_is_read_is_said() -> None:
    """Where older submissions are not read, it is known from when on they are."""
    assert listen.clean([sent()], 60, {RUN}, more=True).since == "2026-11-21T10:00:00Z"
    assert listen.clean([sent()], 60, {RUN}).since == ""

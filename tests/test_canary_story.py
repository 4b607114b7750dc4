"""Two gray releases replayed with simulated readers and reviewers: one that people dislike, and one that they like."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import requests

from publisher.ledger import canaries, history
from publisher.publishing.canary import course
from publisher.schema import Review
from tests.shelf import Shelf, later, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.ledger.canaries import Canary

POLICY = "[canary]\nstages = [10, 50, 100]\nhours = 24\nresponses = 8\nhourly = 200\n"
COMPLETE, SHORT = (0.0, 0.05, 0.1, 0.35, 0.5), (0.45, 0.35, 0.15, 0.05, 0.0)
"""How reviewers rate answers with every step shown, and right answers without a reason: shares of 1 to 5."""


@pytest.fixture(name="on", scope="module")
def on_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf whose first snapshot is live."""
    with shelf(tmp_path_factory.mktemp("story")) as found:
        found.publish(more=POLICY)
        yield found


def start(on: Shelf) -> str:
    """Start the gray release of a new snapshot, which scores what the live one scores; return its run."""
    receipt = on.deploy(more=POLICY)
    scores = [on.project.record(run_id).results[0].score for run_id in (live_run(on), receipt.run_id)]
    assert scores[0] == scores[1]
    course.start(on.project, receipt.snapshot, stages=[], hours=None, why="a new prompt", note=on.notes.append)
    return receipt.run_id


def live_run(on: Shelf) -> str:
    """Return the run that is live."""
    return history.live_moves(on.project.ledger)[-1].run_id


def review(on: Shelf, run_id: str, shares: Sequence[float], names: range, *, blind: bool = False) -> None:
    """Let reviewers rate six answers of a run each."""
    chance = random.Random(f"{shares} {names}")  # noqa: S311 - to be repeated, no secret
    files: dict[str, bytes] = {}
    for name in names:
        said = [
            Review(
                run_id=run_id,
                suite="s",
                problem=str(problem),
                seed=1,
                reviewer=f"Reviewer {name}",
                rating=chance.choices((1, 2, 3, 4, 5), shares)[0],
                blind=blind,
                time="2026-11-20T20:11:33Z",
            )
            for problem in range(6)
        ]
        files |= canaries.review_file(said, f"{name:016x}")
    on.project.ledger.append(files, "reviews\n")


def step(on: Shelf) -> str:
    """Take a step, and return what it decided."""
    found = course.step(on.project, on.notes.append)
    assert found is not None
    return found.decision.outcome


def last(on: Shelf) -> Canary:
    """Return the newest gray release."""
    project = on.project
    project.ledger.sync()
    found = canaries.last(project.ledger)
    assert found is not None
    return found


def test_a_candidate_that_skips_its_steps_is_aborted_by_its_reviews(on: Shelf) -> None:
    """Its score is that of the live snapshot, its answers lack their reasons: reviewers say so, and that ends it."""
    live, run_id = live_run(on), start(on)
    review(on, run_id, SHORT, range(4))
    review(on, live, COMPLETE, range(4))
    assert step(on) == "wait"  # four people are no proof yet
    review(on, run_id, SHORT, range(4, 20))
    review(on, live, COMPLETE, range(4, 20))
    assert step(on) == "abort"
    end = last(on).end
    assert end is not None
    assert end.evidence is not None
    assert "worse by more than 0.5" in end.why
    assert (end.evidence.candidate.count, end.evidence.live.count) == (20, 20)
    assert on.shown() == on.project.runs()[0].line.snapshot


def test_eight_who_compare_blind_are_enough(on: Shelf) -> None:
    """Reviewers who rated both without knowing which is which need no more people than a show of hands does."""
    live, run_id = live_run(on), start(on)
    for names, taken in ((range(40, 47), "wait"), (range(47, 48), "abort")):
        review(on, run_id, SHORT, names, blind=True)
        review(on, live, COMPLETE, names, blind=True)
        assert step(on) == taken
    end = last(on).end
    assert end is not None
    assert "8 of 8 reviewers who compared blind rated it lower by more than 0.5" in end.why


def test_a_good_candidate_passes_every_stage(on: Shelf) -> None:
    """Readers who rate it as people rate good answers carry it through 10, 50 and 100 % to the live site."""
    run_id = start(on)
    chance = random.Random(11)  # noqa: S311 - to be repeated, no secret
    host = {"Host": on.info.site_url.removeprefix("http://")}
    taken = []
    for _ in range(12):
        for _ in range(3):
            rating = str(chance.choices((1, 2, 3, 4, 5), COMPLETE)[0])
            sent = {"form-name": "feedback", "run": run_id, "rating": rating}
            assert requests.post(on.info.api_url, data=sent, headers=host, timeout=20).status_code == 200
        taken.append(step(on))
        if taken[-1] == "promote":
            break
        later(on, 12.5)
    assert taken == ["wait", "wait", "advance", "wait", "advance", "wait", "promote"]
    assert [one.percent for one in last(on).stages] == [10, 50, 100]
    assert (live_run(on), on.shown()) == (run_id, on.project.runs()[-1].line.snapshot)

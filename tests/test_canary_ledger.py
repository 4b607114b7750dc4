"""Gray releases in the ledger: what is appended is read back, and what is spoiled or foreign is left out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.ledger import canaries
from publisher.ledger.store import Ledger
from publisher.schema import CanaryEnd, CanaryStage, CanaryStart, Confirmation, Review
from tests.made import GitFolder

RUN = "20261120T201133Z-0123456789ab-full"
WHO: dict[str, Any] = {"who": "A. Person", "why": "a reason", "time": "2026-11-20T20:11:33Z"}
START = CanaryStart(
    number=1,
    snapshot="snapshot-0123456789ab",
    commit="c" * 40,
    run_id=RUN,
    live_snapshot="snapshot-ba9876543210",
    live_run_id="20261119T201133Z-ba9876543210-full",
    stages=[10, 100],
    hours=24,
    via="split",
    **WHO,
)
STAGE = CanaryStage(number=1, stage=1, percent=10, **WHO)
ANSWER = Confirmation(run_id=RUN, answer="/answers/7/#s1", number=1, wrong=True, **WHO)


@pytest.fixture(name="ledger")
def ledger_fixture(repository: GitFolder) -> Ledger:
    """Return an empty ledger."""
    return Ledger(repository.opened)


def review(rating: int, *, reviewer: str = "A", problem: str = "p1", time: str = "2026-11-20T20:11:33Z") -> Review:
    """Return a review of an answer."""
    return Review(run_id=RUN, suite="s", problem=problem, seed=1, reviewer=reviewer, rating=rating, time=time)


def test_a_canary_is_read_back(ledger: Ledger) -> None:
    """Start, stages and end are there in order, and the last stage says the share until the end."""
    for entry in (START, STAGE, msgspec.structs.replace(STAGE, stage=2, percent=100)):
        ledger.append(canaries.canary_file(entry), "canary\n")
    found = canaries.running(ledger)
    assert found is not None
    assert (found.start, found.percent) == (START, 100)
    ledger.append(canaries.canary_file(CanaryEnd(number=1, outcome="promoted", **WHO)), "canary\n")
    assert canaries.running(ledger) is None
    assert [one.percent for one in canaries.canaries(ledger)] == [0]
    assert canaries.next_number(ledger) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"stages": []},
        {"stages": [101]},
        {"snapshot": "main"},
        {"snapshot": "snapshot-aaaaaaaaaaaa"},
        {"live_snapshot": "elsewhere.example/#"},
        {"live_snapshot": "snapshot-aaaaaaaaaaaa"},
        {"run_id": "nonsense"},
        {"time": "yesterday"},
        {"who": "x" * 200},
        {"schema": 99},
    ],
)
def test_spoiled_start_is_no_canary(ledger: Ledger, change: dict[str, Any]) -> None:
    """A start that publisher would not write starts nothing, but its number stays taken."""
    spoiled = msgspec.structs.replace(START, **change)
    ledger.append({"canary/000001/start.json": canonical_json(spoiled)}, "canary\n")
    assert canaries.running(ledger) is None
    assert canaries.next_number(ledger) == 2


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"schema":1,"percent":900}', b"[" * 9000])
def test_spoiled_stage_is_left_out(ledger: Ledger, data: bytes) -> None:
    """A stage that cannot be read changes nothing."""
    ledger.append(canaries.canary_file(START) | canaries.canary_file(STAGE), "canary\n")
    ledger.append({"canary/000001/stage-2.json": data}, "canary\n")
    found = canaries.running(ledger)
    assert found is not None
    assert found.percent == 10


def test_last_review_of_a_reviewer_counts(ledger: Ledger) -> None:
    """Each reviewer has one word per answer, the last one; sittings of others and spoiled files change nothing."""
    ledger.append(canaries.review_file([review(2), review(4, problem="p2")], "a" * 16), "reviews\n")
    later = review(5, time="2026-11-20T21:11:33Z")
    ledger.append(canaries.review_file([later, review(1, reviewer="B")], "b" * 16), "reviews\n")
    foreign = msgspec.structs.replace(review(1), run_id=RUN.replace("full", "quick"))
    ledger.append({f"reviews/{RUN}/{'c' * 16}.json": canonical_json([foreign])}, "reviews\n")
    ledger.append({f"reviews/{RUN}/{'d' * 16}.json": b'[{"rating": 9}]'}, "reviews\n")
    found = {(one.reviewer, one.problem): one.rating for one in canaries.reviews(ledger, RUN)}
    assert found == {("A", "p1"): 5, ("A", "p2"): 4, ("B", "p1"): 1}


def test_last_look_at_a_report_counts(ledger: Ledger) -> None:
    """A person may look again; the last look counts, and an entry under another answer's name does not."""
    ledger.append(canaries.report_file(ANSWER), "report\n")
    ledger.append(canaries.report_file(msgspec.structs.replace(ANSWER, number=2, wrong=False)), "report\n")
    other = msgspec.structs.replace(ANSWER, answer="/answers/8/#s1", number=3)
    name = next(iter(canaries.report_file(ANSWER))).replace("-1.json", "-3.json")
    ledger.append({name: canonical_json(other)}, "report\n")
    assert {key: one.wrong for key, one in canaries.confirmations(ledger, RUN).items()} == {"/answers/7/#s1": False}

"""What `canary status` says beside shares and comments: ratings of what is live, reviewers, both runs' answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.files import sha256_hex
from publisher.ledger import canaries, history
from publisher.publishing.canary import answers, course
from publisher.samples import pack_samples
from publisher.schema import Review, Sample
from tests.shelf import BUILD, Shelf, ending_canaries, later, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POLICY = "[canary]\nstages = [10, 50]\nhours = 1\nresponses = 1\n"
ASKING = POLICY + "[site]\nfeedback = true\n"
FORM = 'echo \'<form name="feedback" data-netlify="true"><input name="rating"></form>\' > dist/feedback.html\n'


@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf with a live snapshot whose pages do not ask for a rating."""
    with shelf(tmp_path_factory.mktemp("status")) as found:
        found.publish(more=POLICY)
        yield found


@pytest.fixture(name="on")
def on_fixture(shared: Shelf) -> Iterator[Shelf]:
    """Return the shelf, and end the gray release that a test leaves running."""
    yield from ending_canaries(shared)


def start(on: Shelf) -> tuple[str, str]:
    """Start the gray release of a new snapshot; return its run and the live one."""
    receipt = on.deploy(more=POLICY)
    course.start(on.project, receipt.snapshot, stages=[], hours=None, why="to see", note=on.notes.append)
    return receipt.run_id, history.live_moves(on.project.ledger)[-1].run_id


def send(on: Shelf, run_id: str, **data: str) -> None:
    """Send the form about a run."""
    host = {"Host": on.info.site_url.removeprefix("http://")}
    sent = {"form-name": "feedback", "run": run_id, **data}
    assert requests.post(on.info.api_url, data=sent, headers=host, timeout=20).status_code == 200


def status(on: Shelf, *options: str) -> Any:
    """Return what the command prints, as JSON where that is asked for."""
    done = on.user.run("canary", "status", *options)
    assert done.code == 0, done.err
    return done.json if options else done.out


def review(on: Shelf, run_id: str, reviewer: str, ratings: Sequence[int], *, blind: bool = False) -> None:
    """Let a reviewer rate answers, one per problem."""
    said = [
        Review(
            run_id=run_id,
            suite="s",
            problem=f"p{number}",
            seed=1,
            reviewer=reviewer,
            rating=rating,
            blind=blind,
            time="2026-11-20T20:11:33Z",
        )
        for number, rating in enumerate(ratings)
    ]
    on.project.ledger.append(canaries.review_file(said, sha256_hex(f"{run_id} {reviewer}".encode())[:16]), "reviews\n")


def answer(number: int, tokens: int, **more: Any) -> Sample:
    """Return an answer of so many tokens to the problem of this number."""
    given: dict[str, Any] = {
        "suite": "s",
        "problem": f"p{number}",
        "sample": 0,
        "seed": 1,
        "outcome": "right",
        "answer": "4",
        "finish": "stop",
        "prompt_tokens": 1,
        "tokens": tokens,
        "latency": tokens / 100,
        "text": "4",
    }
    return Sample(**{**given, **more})


def give(on: Shelf, run_id: str, samples: Sequence[Sample]) -> None:
    """Give a run of the shelf answers."""
    on.forge({f"{history.folder(run_id)}/samples.jsonl.gz": pack_samples(list(samples))})


def test_status_says_how_the_live_snapshot_comes_to_be_rated(on: Shelf) -> None:
    """Where nobody rated what is live, a rating is compared with nothing: that is said, and what to type."""
    run_id, _ = start(on)
    send(on, run_id, rating="4")
    said = status(on)
    assert "compare    nobody rated snapshot-" in said
    assert "[site] feedback = true" in said
    assert "publisher review snapshot-" in said
    assert "--against snapshot-" in said


def test_readers_of_the_live_snapshot_rate_it_too(on: Shelf) -> None:
    """What its own form sends while the canary runs stands beside the candidate's ratings; what was sent before not."""
    live = history.live_moves(on.project.ledger)[-1].run_id
    send(on, live, rating="1", comment="too early")
    later(on, 0.1)  # times have whole seconds: what comes in the second of the start counts
    run_id, _ = start(on)
    for rating in ("5", "4"):
        send(on, live, rating=rating)
    send(on, run_id, rating="3", comment="hm")
    found = status(on, "--json")
    assert (found["candidate"]["mean"], found["live"]["mean"], found["live"]["count"]) == (3.0, 4.5, 2)
    said = status(on)
    assert "4.50 (1.00 to 5.00, 2 ratings)" in said
    assert "compare " not in said
    assert "comment    3 hm" in said


def test_agreement_and_blind_comparisons_are_shown(on: Shelf) -> None:
    """How many reviewers rated how many answers, how far they agree, and which snapshot they preferred blind."""
    run_id, live = start(on)
    review(on, run_id, "Ada", [2, 3, 4], blind=True)
    review(on, live, "Ada", [4, 3, 5], blind=True)
    review(on, run_id, "Ben\x1b[31m", [2, 3, 5])
    found = status(on, "--json")["reviews"]
    assert (found["candidate"]["ratings"], found["candidate"]["shared"]) == (6, 3)
    assert 0.5 < found["candidate"]["alpha"] < 1
    assert found["preference"] == {"better": 0, "alike": 1, "worse": 2}
    assert found["differences"] == [-1.0]
    said = status(on)
    alpha = found["candidate"]["alpha"]
    assert f"reviews    candidate: 6 answers rated by 2 reviewers, agreement {alpha:.2f} on 3 rated by several" in said
    assert "blind      1 reviewer: 0 answers better, 1 alike, 2 worse than snapshot-" in said
    assert "\x1b" not in said


def test_lengths_and_anomalies_of_both_runs_are_shown(on: Shelf) -> None:
    """Median and 95th percentile of tokens per answer, latency, answers that were cut off and that loop, of both."""
    run_id, live = start(on)
    loop = {"measures": {"looping": 1.0}}
    give(on, live, [answer(number, 100 + number) for number in range(20)])
    own = [answer(number, 200 + number, **(loop if number < 2 else {})) for number in range(19)]
    give(on, run_id, [*own, answer(19, 512, finish="length", outcome="truncated"), answer(99, 9)])
    found = status(on, "--json")["answers"]
    assert found["candidate"] == {
        "count": 20, "median": 209, "p95": 218, "truncated": 1, "looping": 2, "latency": 2.18,
    }  # fmt: skip
    assert (found["live"]["median"], found["live"]["p95"], found["live"]["truncated"]) == (109, 118, 0)
    said = status(on)
    assert "length     median 209 (live 109, +92 %), 95 of 100 up to 218 (live 118, +85 %) tokens" in said
    assert "latency    95 of 100 answers within 2.18 s; live 1.18 s" in said
    assert "anomalies  1 cut off, 2 repeating themselves; live 0 and 0" in said


def test_answers_that_share_nothing_or_are_broken_are_not_compared(on: Shelf) -> None:
    """Runs of other problems, and samples that cannot be read, give no figures and no error."""
    run_id, live = start(on)
    give(on, live, [answer(1, 10)])
    on.project.ledger.sync()
    assert answers.beside(on.project, run_id, live) is None
    give(on, run_id, [answer(2, 10)])
    on.project.ledger.sync()
    assert answers.beside(on.project, run_id, live) is None
    assert "length " not in status(on)


def test_a_site_whose_live_pages_ask_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """With `[site] feedback` in the live snapshot's commit, status says that its readers can rate it."""
    with shelf(tmp_path_factory.mktemp("asking")) as on:
        on.folder.commit({"build.sh": BUILD + FORM}, "A form")
        on.publish(more=ASKING)
        start(on)
        assert "yet: its pages ask for ratings;" in status(on)


def test_a_site_that_builds_no_candidates_has_no_canary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where branch deploys leave `canary-*` out, the start says so before anything is written."""
    with shelf(tmp_path_factory.mktemp("branches"), branches=("live", "snapshot-*")) as on:
        on.publish(more=POLICY)
        snapshot = on.deploy(more=POLICY).snapshot
        done = on.user.run("canary", "start", snapshot)
        assert (done.code, canaries.canaries(on.project.ledger)) == (2, []), done.err
        assert "this site does not build canary-" in done.err
        assert "add canary-*" in done.err


def test_a_site_without_forms_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the site has no form nobody can be heard: status says it and how to mend it, and reviews still count."""
    with shelf(tmp_path_factory.mktemp("none"), forms=False) as on:
        on.publish(more=POLICY)
        run_id, _ = start(on)
        review(on, run_id, "Ada", [4, 5])
        said = status(on)
        assert "the site has no feedback form: Netlify → Forms → Enable form detection" in said
        assert "candidate: 2 answers rated by 1 reviewer" in said
        assert status(on, "--json")["candidate"]["count"] == 1

from __future__ import annotations

import msgspec
import pytest

from publisher.ledger.history import Run
from publisher.publishing.listing import Shown, runs_table, state_of, state_words
from publisher.schema import GivenUp, HistoryLine, Receipt, TakenDown
from tests import made

RUN = "20261120T201133Z-0123456789ab-full"
LINE = made.line(RUN, 75.0, subject="Change", snapshot="snapshot-0123456789ab")
RECEIPT = Receipt(
    run_id=RUN,
    snapshot="snapshot-0123456789ab",
    commit="a" * 40,
    deploy_id="d" * 24,
    permalink="https://x.netlify.app",
    address="https://snapshot-0123456789ab--a-site-with-a-long-name-on-netlify.netlify.app",
    manifest_sha256="e" * 64,
    files=3,
    via="api",
    requested="2026-11-20T20:11:33Z",
    ready="2026-11-20T20:11:33Z",
    verified="2026-11-20T20:11:33Z",
)
GIVEN_UP = GivenUp(run_id=RUN, who="Ada", why="no site", time="2026-11-20T20:11:33Z")
TAKEN_DOWN = TakenDown(
    run_id=RUN, snapshot="snapshot-0123456789ab", commit="a" * 40, who="", why="private", time="2026-11-20T20:11:33Z"
)


def line(**changes: object) -> HistoryLine:
    """Return the line of history with some fields changed."""
    return msgspec.structs.replace(LINE, **changes)


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (Run(LINE), "unfinished"),
        (Run(LINE, last_receipt=RECEIPT), "published"),
        (Run(line(pruned="2026-11-20"), last_receipt=RECEIPT), "pruned"),
        (Run(LINE, given_up=GIVEN_UP), "given up"),
        (Run(LINE, last_receipt=RECEIPT, taken_down=TAKEN_DOWN), "taken down"),
        (Run(line(verdict="rejected")), "rejected"),
        (Run(line(verdict="inconclusive")), "inconclusive"),
        (Run(line(verdict="unreadable")), "unreadable"),
    ],
)
def test_every_state_has_its_own_word(run: Run, state: str) -> None:
    """What was kept, published, left unfinished or ended can be told apart."""
    assert state_of(run) == state
    assert state_words(run, Shown()).endswith(state)


def test_live_and_pinned_are_said() -> None:
    """A snapshot can be both."""
    run = Run(LINE, last_receipt=RECEIPT)
    assert state_words(run, Shown(live=RUN)) == "● live"
    assert state_words(run, Shown(pins={RUN: ["math"]})) == "✓ pinned"
    assert state_words(run, Shown(live=RUN, pins={RUN: ["math"]})) == "● live, pinned"


def test_the_table_fits_80_columns_whatever_the_ledger_says() -> None:
    """Long subjects, tiers and reasons are cut; only an address is whole."""
    hostile = "\x1b]0;title\x07\u202e" + "long " * 100
    runs = [
        Run(line(subject=hostile, tier="t" * 60, verdict="rejected", why=hostile)),
        Run(line(subject=hostile), last_receipt=RECEIPT),
    ]
    shown = Shown(live=RUN, pins={RUN: ["math"]})
    text = runs_table(runs, shown)
    assert max(map(len, text.splitlines())) <= 80, text
    assert not any(ord(letter) < 32 for letter in text.replace("\n", ""))
    assert RECEIPT.address in runs_table(runs, shown, addresses=True)

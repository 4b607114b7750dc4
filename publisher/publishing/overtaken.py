"""The end of a gray release whose live site was moved by somebody else: by hand, or by a new kept run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.ledger import canaries, history
from publisher.netlify import splits
from publisher.schema import CanaryEnd

if TYPE_CHECKING:
    from publisher.publishing.deliver import Desk


def end_overtaken(desk: Desk) -> bool:
    """End the gray release that is running if what was live beside it is not any more; return whether it was so."""
    ledger = desk.project.ledger
    canary = canaries.running(ledger)
    moves = history.live_moves(ledger) if canary else []
    if canary is None or not moves or moves[-1].run_id == canary.start.live_run_id:
        return False
    entry = CanaryEnd(
        number=canary.start.number,
        outcome="overtaken",
        who=desk.project.who,
        why=f"the live site was moved to {moves[-1].snapshot}",
        time=desk.moment(),
    )

    def over() -> bool:
        now = canaries.running(ledger)
        return now is None or now.start.number != entry.number

    ledger.append(canaries.canary_file(entry), f"Canary {entry.number} overtaken\n", unless=over)
    close(desk, canary.start.snapshot)
    desk.note(f"canary {entry.number} of {canary.start.snapshot} is over: {entry.why}")
    return True


def close(desk: Desk, snapshot: str) -> bool:
    """Bring every reader back to what is live; return whether a split test was running."""
    return bool(desk.netlify.settings.token) and splits.end(desk.netlify, canaries.branch_of(snapshot))

"""What becomes of a gray release: the policy applied to what readers and reviewers said. A pure function.

Every hour the question is asked again, so the bounds of `gate/bounded.py` are used, which hold at every moment at once:
a candidate that is rated as well as the live snapshot is aborted by its ratings with probability alpha at most, however
long the canary lasts.

Two rules share alpha. One compares mean ratings, whoever gave them. The other counts the reviewers who rated both
snapshots without knowing which is which: where more than half of all such reviewers rate the candidate lower by more
than the policy allows, it is aborted. A reviewer who is strict is strict with both, so that takes fewer people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from publisher.gate import bounded
from publisher.schema import Ratings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.config import CanaryConfig

LOWEST, HIGHEST = 1, 5
"""The ends of a rating."""
_BOUNDS = 3
"""Among these alpha is shared: the candidate's ratings from above, the live ones from below, and the comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known of a candidate and of the live snapshot beside it."""

    candidate: Sequence[int] = ()
    """Ratings from 1 to 5, in the order in which they arrived."""
    live: Sequence[int] = ()
    differences: Sequence[float] = ()
    """Of each reviewer who compared blind: by how much the candidate was rated above the live snapshot, on average."""
    confirmed: Sequence[str] = ()
    """Addresses of answers that a person confirmed to be wrong."""
    flooded: int = 0
    """Submissions that were set aside because too many came in one hour."""
    unread: bool = False
    """Whether there were more submissions since it began than are read: what drowned them may hide low ratings."""
    p95: float | None = None
    """Seconds per answer of the candidate's run."""
    stage: int = 1
    """The stage that is running, from 1."""
    stages: int = 1
    stage_hours: float = 0.0
    """How long it has been running, by the host's clock; negative where a clock is off."""
    hours: float = 0.0
    """How long the canary has been running."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy would do now, and every reason for it."""

    outcome: Literal["wait", "advance", "promote", "abort"]
    reasons: list[str] = field(default_factory=list)


def decide(policy: CanaryConfig, heard: Heard) -> Decision:
    """Return what becomes of a canary: a rule that fails aborts at once, and time and responses decide the rest."""
    candidate, live = ratings(heard.candidate, policy.alpha), ratings(heard.live, policy.alpha)
    found = (
        _rated(policy, candidate, live),
        _compared(policy, heard.differences),
        _below(policy, candidate),
        _wrong(policy, heard),
    )
    harm = [reason for reason in found if reason]
    harm += _slow(policy, heard)
    if harm:
        return Decision("abort", harm)
    if heard.hours > 24 * policy.days:
        return Decision("abort", [f"it has lasted longer than {policy.days:g} days without being promoted"])
    waiting = _waiting(policy, heard)
    if waiting:
        return Decision("wait", waiting)
    done = [f"stage {heard.stage} of {heard.stages} has lasted {heard.stage_hours:.1f} h and nothing speaks against it"]
    if not (heard.live or heard.differences):
        done.append("nobody rated the live snapshot, so the candidate was compared with nothing")
    return Decision("promote" if heard.stage >= heard.stages else "advance", done)


def ratings(values: Sequence[int], alpha: float) -> Ratings:
    """Return the mean of ratings with bounds that hold at every moment at once, each at a third of alpha."""
    if not values:
        return Ratings(count=0)
    shares = [_share(value) for value in values]
    mean = LOWEST + (HIGHEST - LOWEST) * math.fsum(shares) / len(shares)
    low, high = bounded.lower(shares, alpha / _BOUNDS), bounded.upper(shares, alpha / _BOUNDS)
    return Ratings(count=len(values), mean=mean, low=_rating(low), high=_rating(high))


def _rated(policy: CanaryConfig, candidate: Ratings, live: Ratings) -> str:
    """Return why the candidate is rated worse than the live snapshot; empty where that is not beyond doubt."""
    if candidate.high is None or live.low is None or candidate.high >= live.low - policy.worse:
        return ""
    return (
        f"rated {candidate.mean:.2f} (at most {candidate.high:.2f}), the live snapshot {live.mean:.2f} "
        f"(at least {live.low:.2f}): worse by more than {policy.worse:g}"
    )


def _compared(policy: CanaryConfig, differences: Sequence[float]) -> str:
    """Return why most reviewers would rate the candidate lower; empty where that is not beyond doubt.

    Under the null hypothesis that a candidate is rated as the live snapshot is, each sign is as likely: at most half of
    all reviewers rate it lower. Only whether they do is counted, so one who uses the ends of the scale weighs no more.
    """
    lower = [difference < -policy.worse for difference in differences]
    if bounded.lower([float(one) for one in lower], policy.alpha / _BOUNDS) <= 1 / 2:
        return ""
    by = f"by more than {policy.worse:g}" if policy.worse else "at all"
    return f"{sum(lower)} of {len(lower)} reviewers who compared blind rated it lower {by}: beyond doubt more than half"


def _below(policy: CanaryConfig, candidate: Ratings) -> str:
    """Return why the candidate is rated below the least rating; empty where that is not beyond doubt."""
    if candidate.high is None or candidate.high >= policy.rating:
        return ""
    return f"rated {candidate.mean:.2f} (at most {candidate.high:.2f}), below {policy.rating:g}"


def _wrong(policy: CanaryConfig, heard: Heard) -> str:
    count = len(set(heard.confirmed))
    if count <= policy.wrong:
        return ""
    return f"{count} answer{'s' if count > 1 else ''} confirmed to be wrong, at most {policy.wrong} may be"


def _slow(policy: CanaryConfig, heard: Heard) -> list[str]:
    if policy.p95 is None or heard.p95 is None or heard.p95 <= policy.p95:
        return []
    return [f"95 of 100 answers took up to {heard.p95:.2f} s, at most {policy.p95:g} s is allowed"]


def _waiting(policy: CanaryConfig, heard: Heard) -> list[str]:
    """Return what is still missing before the next stage."""
    missing = []
    if heard.flooded:
        missing.append(f"{heard.flooded} submissions came in hours with more than {policy.hourly}: a person must look")
    if heard.unread:
        missing.append("there are more submissions since it began than are read: a person must look")
    if len(heard.candidate) < policy.responses:
        missing.append(f"{len(heard.candidate)} of {policy.responses} ratings")
    if heard.stage_hours < policy.hours:
        missing.append(f"stage {heard.stage} has lasted {max(0.0, heard.stage_hours):.1f} of {policy.hours:g} h")
    if policy.p95 is not None and heard.p95 is None:
        missing.append("the run says nothing of its latency, so p95 cannot be checked")
    return missing


def _share(rating: int) -> float:
    return (rating - LOWEST) / (HIGHEST - LOWEST)


def _rating(share: float) -> float:
    return LOWEST + (HIGHEST - LOWEST) * share

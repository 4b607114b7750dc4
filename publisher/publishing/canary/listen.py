"""What readers sent and reviewers said, bounded and cleaned: it is hostile, and much of it can be nobody's opinion.

Netlify's own notes beside a submission (address, browser, referring page) are never read. Repeats of a comment and
hours with more submissions about one snapshot than `[canary] hourly` are set aside, and said. What was sent before the
gray release began counts for neither snapshot: both are rated by the readers of the same days.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from publisher.netlify import forms
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from publisher.netlify.client import Netlify
    from publisher.netlify.forms import Submission
    from publisher.schema import Review

FORM = "feedback"
NOT_ASKED = "NETLIFY_AUTH_TOKEN is not set, so nothing that readers send is read"
NO_FORM = (
    "the site has no feedback form: Netlify → Forms → Enable form detection, then abort and start the canary again"
)
LONGEST = 2_000
"""Characters of a comment that are kept."""
_ANSWER = re.compile(r"(?!.{302})(?:/(?!\.{1,2}(?:[/#]|\Z))[A-Za-z0-9._~-]+)+/?(?:#[A-Za-z0-9._~-]{1,100})?\Z")
"""Of this site: `//` begins another's address, `..` leads out of the folder."""
_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}-[a-z0-9][a-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Feedback:
    """One reader's word about a snapshot."""

    id: str
    run_id: str
    time: str
    rating: int
    """1 to 5; 0 where only an answer was reported."""
    comment: str
    answer: str
    """The address of an answer that is reported as wrong; empty where none is."""


@dataclass(frozen=True, slots=True)
class Feedbacks:
    """What was sent about any snapshot of the site."""

    counted: list[Feedback] = field(default_factory=list)
    """In the order in which it arrived."""
    malformed: int = 0
    """Submissions that no form of ours sends: ratings out of range, runs and answers that are none."""
    repeated: int = 0
    flooded: int = 0
    """Submissions of hours in which too many came."""
    since: str = ""
    """When the oldest was sent that is read, where there were more; empty where all are read."""
    deaf: str = ""
    """Why readers cannot be heard at all; empty where they can."""

    def of(self, run_id: str) -> list[Feedback]:
        """Return what is about one run."""
        return [one for one in self.counted if one.run_id == run_id]


def listen(netlify: Netlify, hourly: int, runs: Collection[str], *, began: str) -> Feedbacks:
    """Return what readers sent about some runs since a gray release `began`, cleaned.

    Nothing without a token, or where the site has no form: then it is said why.
    """
    if not netlify.settings.token:
        return Feedbacks(deaf=NOT_ASKED)
    form = forms.find(netlify, FORM)
    if form is None:
        return Feedbacks(deaf=NO_FORM)
    sent, more = forms.submissions(netlify, form)
    return clean(sent, hourly, runs, began=began, more=more)


def clean(
    sent: Sequence[Submission], hourly: int, runs: Collection[str], *, began: str = "", more: bool = False
) -> Feedbacks:
    """Return the submissions about some runs that count, and how many do not and why.

    What is about other runs, and of other times, is left aside before hours are counted, and each run has hours of its
    own: a flood about one snapshot must not drown what is said of the other.
    """
    recent = [one for one in sent if not (moment := _moment(one.created_at or "")) or moment >= began]
    read = [_read(one) for one in recent]
    sound = [one for one in read if one is not None]
    known = [one for one in sound if one.run_id in runs]
    hours = Counter((one.run_id, one.time[:13]) for one in known)
    calm = [one for one in known if hours[one.run_id, one.time[:13]] <= hourly]
    seen: set[tuple[str, str, str]] = set()
    counted = []
    for one in calm:
        key = (one.run_id, one.answer, one.comment.casefold())
        if one.comment and key in seen:
            continue
        seen.add(key)
        counted.append(one)
    return Feedbacks(
        counted,
        malformed=len(recent) - len(sound),
        repeated=len(calm) - len(counted),
        flooded=len(known) - len(calm),
        since=_moment(sent[0].created_at or "") if more and sent else "",
    )


def is_answer(text: str) -> bool:
    """Return whether a text can be the address of an answer in a snapshot."""
    return bool(_ANSWER.match(text))


def reported(feedbacks: Sequence[Feedback]) -> Counter[str]:
    """Return how often each answer was reported as wrong."""
    return Counter(one.answer for one in feedbacks if one.answer)


def rated(feedbacks: Sequence[Feedback], reviews: Sequence[Review], run_id: str) -> list[int]:
    """Return the ratings of a run, by readers and reviewers, in the order in which they arrived.

    A reviewer has one word per run: the mean of the answers that they rated, to the nearest whole rating.
    """
    said = [(one.time, one.rating) for one in feedbacks if one.run_id == run_id and one.rating]
    by_reviewer: dict[str, list[tuple[str, int]]] = {}
    for review in reviews:
        by_reviewer.setdefault(review.reviewer, []).append((review.time, review.rating))
    said += [
        (max(time for time, _ in words), round(sum(rating for _, rating in words) / len(words)))
        for words in by_reviewer.values()
    ]
    # By time alone: among those of one second, ratings in order of their size would look like readers who change.
    return [rating for _, rating in sorted(said, key=itemgetter(0))]


def _read(sent: Submission) -> Feedback | None:
    """Return what was sent; None where our form would not send it."""
    run_id, rating, answer = (_text(sent, name) for name in ("run", "rating", "answer"))
    if not _RUN.match(run_id) or rating not in {"", "1", "2", "3", "4", "5"}:
        return None
    if (answer and not is_answer(answer)) or not (rating or answer):
        return None
    moment = _moment(sent.created_at or "")
    comment = visible(_text(sent, "comment")[:LONGEST])
    return Feedback(sent.id[:64], run_id, moment, int(rating or 0), comment, answer) if moment else None


def _text(sent: Submission, name: str) -> str:
    value = sent.data.get(name, "")
    return value if isinstance(value, str) else ""


def _moment(text: str) -> str:
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return ""

"""Gray releases as the ledger keeps them: each started once, changed in numbered stages, ended once.

    canary/<number>/start.json     one canary at a time: number N+1 begins only when N has ended
    canary/<number>/stage-N.json   the share of readers, from the moment of the entry on
    canary/<number>/end.json       promoted, aborted, or overtaken by a move of the live site
    canary/<number>/scene.json     that end again with what was heard, where the end did not wait for it
    reviews/<run_id>/<word>.json   what reviewers said of a run's answers; every file is one sitting's word
    reports/<run_id>/<answer>-N.json   a person's look at an answer that was reported as wrong

What the ledger says is what should be; the host is brought to it afterwards, so a killed command loses nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.ledger.forms import LONGEST, RUN_ID, check_time, is_snapshot_of
from publisher.schema import CanaryEnd, CanaryStage, CanaryStart, Confirmation, Review

if TYPE_CHECKING:
    from publisher.ledger.store import Ledger

FOLDER = "canary"
_PATH = re.compile(r"canary/(\d{6})/(?:(start|end|scene)|stage-(\d{1,4}))\.json\Z")
_REVIEW = re.compile(rf"reviews/({RUN_ID})/[0-9a-f]{{16}}\.json\Z")
_REPORT = re.compile(rf"reports/({RUN_ID})/([0-9a-f]{{16}})-(\d{{1,4}})\.json\Z")
_LARGEST = 64 << 10
"""Bytes of an entry."""
_LARGEST_SITTING = 4 << 20
"""Bytes of one sitting's reviews."""
_NAME = 100
MOST_REVIEWS = 10_000
Entry = TypeVar("Entry", CanaryStart, CanaryStage, CanaryEnd, Confirmation)


@dataclass(frozen=True, slots=True)
class Canary:
    """One gray release, as the ledger has it."""

    start: CanaryStart
    stages: tuple[CanaryStage, ...] = ()
    end: CanaryEnd | None = None

    @property
    def percent(self) -> int:
        """The share of readers who should see the candidate now, in percent."""
        return 0 if self.end or not self.stages else self.stages[-1].percent

    @property
    def readers(self) -> str:
        """Who sees the candidate now, in words."""
        if self.start.via == "link":
            return "readers who follow its link"
        return f"{self.percent} % of the readers" + (" (by a script)" if self.start.via == "script" else "")


def branch_of(snapshot: str) -> str:
    """Return the branch of a candidate: `canary-` and what names its snapshot."""
    return "canary-" + snapshot.removeprefix("snapshot-")


def canary_file(entry: CanaryStart | CanaryStage | CanaryEnd) -> dict[str, bytes]:
    """Return the ledger file of an entry."""
    name = {CanaryStart: "start", CanaryEnd: "end"}.get(type(entry)) or f"stage-{getattr(entry, 'stage', 0)}"
    return {f"{FOLDER}/{entry.number:06d}/{name}.json": canonical_json(entry)}


def scene_file(end: CanaryEnd) -> dict[str, bytes]:
    """Return the ledger file of an end with its evidence, which was written down without."""
    return {f"{FOLDER}/{end.number:06d}/scene.json": canonical_json(end)}


def review_file(reviews: list[Review], word: str) -> dict[str, bytes]:
    """Return the ledger file of one sitting's reviews of one run; `word` is 16 hexadecimal digits."""
    return {f"reviews/{reviews[0].run_id}/{word}.json": canonical_json(reviews)}


def report_file(found: Confirmation) -> dict[str, bytes]:
    """Return the ledger file of a look at a reported answer."""
    return {f"reports/{found.run_id}/{_key(found.answer)}-{found.number}.json": canonical_json(found)}


def canaries(ledger: Ledger) -> list[Canary]:
    """Return every gray release, oldest first; one whose start cannot be read is left out, as spoiled stages are."""
    starts: dict[int, CanaryStart] = {}
    stages: dict[int, dict[int, CanaryStage]] = {}
    ends: dict[int, CanaryEnd] = {}
    scenes: dict[int, CanaryEnd] = {}
    for match, data in _files(ledger, f"{FOLDER}/", _PATH, _LARGEST):
        number, kind, stage = int(match[1]), match[2], match[3]
        if kind == "start":
            _take(starts, number, _read(data, CanaryStart), number)
        elif kind == "end":
            _take(ends, number, _read(data, CanaryEnd), number)
        elif kind == "scene":
            _take(scenes, number, _read(data, CanaryEnd), number)
        else:
            entry = _read(data, CanaryStage)
            if entry is not None and entry.stage == int(stage):
                _take(stages.setdefault(number, {}), entry.stage, entry, number)
    ends = {number: _with_scene(end, scenes.get(number)) for number, end in ends.items()}
    return [
        Canary(starts[number], tuple(one for _, one in sorted(stages.get(number, {}).items())), ends.get(number))
        for number in sorted(starts)
    ]


def last(ledger: Ledger) -> Canary | None:
    """Return the newest gray release, running or not; None before the first."""
    return next(reversed(canaries(ledger)), None)


def running(ledger: Ledger) -> Canary | None:
    """Return the gray release that has not ended, None where there is none."""
    found = last(ledger)
    return found if found is not None and found.end is None else None


def next_number(ledger: Ledger) -> int:
    """Return the number of the next gray release: a spoiled start keeps its number taken."""
    taken = [int(match[1]) for path in ledger.paths(below=f"{FOLDER}/") if (match := _PATH.match(path))]
    return 1 + max(taken, default=0)


def reviews(ledger: Ledger, run_id: str) -> list[Review]:
    """Return the reviews of a run's answers; the last of a reviewer for an answer counts, and no more than 10,000."""
    found: dict[tuple[str, str, str, int], Review] = {}
    for _, data in _files(ledger, f"reviews/{run_id}/", _REVIEW, _LARGEST_SITTING):
        for review in sorted(_sitting(data), key=lambda one: one.time):
            if review.run_id == run_id and len(found) < MOST_REVIEWS:
                key = (review.reviewer, review.suite, review.problem, review.seed)
                if key not in found or found[key].time <= review.time:
                    found[key] = review
    return sorted(found.values(), key=lambda one: one.time)


def confirmations(ledger: Ledger, run_id: str) -> dict[str, Confirmation]:
    """Return the last look of a person at each reported answer of a run, by the answer's address."""
    found: dict[str, Confirmation] = {}
    for match, data in _files(ledger, f"reports/{run_id}/", _REPORT, _LARGEST):
        entry = _read(data, Confirmation)
        own = entry is not None and entry.run_id == match[1] and _key(entry.answer) == match[2]
        if entry is None or not own or entry.number != int(match[3]):
            continue
        if entry.answer not in found or found[entry.answer].number < entry.number:
            found[entry.answer] = entry
    return found


def _with_scene(end: CanaryEnd, scene: CanaryEnd | None) -> CanaryEnd:
    """Return an end with the evidence that was written down later; a scene that tells another end is none."""
    bare = None if scene is None else msgspec.structs.replace(scene, evidence=None)
    return scene if scene is not None and bare == end else end


def _key(answer: str) -> str:
    return hashlib.sha256(answer.encode()).hexdigest()[:16]


def _files(ledger: Ledger, below: str, pattern: re.Pattern[str], limit: int) -> list[tuple[re.Match[str], bytes]]:
    blobs = {path: blob for path, blob in ledger.paths(below=below).items() if pattern.match(path)}
    contents = ledger.repository.read_small(list(blobs.values()), limit) if blobs else []
    pairs = zip(blobs, contents, strict=True)
    return [(match, data) for path, data in pairs if data is not None and (match := pattern.match(path))]


def _take(found: dict[int, Entry], key: int, entry: Entry | None, number: int) -> None:
    """Keep an entry that can be read and stands in the folder of its own number."""
    if entry is not None and getattr(entry, "number", number) == number:
        found[key] = entry


def _read(data: bytes, kind: type[Entry]) -> Entry | None:
    """Return an entry; None where it cannot be read or has a form that publisher does not write."""
    try:
        entry = schema.decode(data, kind, kind.__name__)
        check_time(entry.time)
    except StorageError:
        return None
    right = len(entry.who) <= _NAME and len(entry.why) <= LONGEST
    if isinstance(entry, CanaryStart):
        right &= _is_snapshot_of(entry.snapshot, entry.run_id) and _is_snapshot_of(
            entry.live_snapshot, entry.live_run_id
        )
        right &= 0 < len(entry.stages) <= LONGEST and all(0 < share <= 100 for share in entry.stages)
    if isinstance(entry, CanaryStage):
        right &= 0 <= entry.percent <= 100
    return entry if right else None


def _is_snapshot_of(branch: str, run_id: str) -> bool:
    return is_snapshot_of(branch, run_id.split("-")[1] if run_id.count("-") > 1 else "")


def _sitting(data: bytes) -> list[Review]:
    try:
        found = msgspec.json.decode(data, type=list[Review])
    except (msgspec.MsgspecError, RecursionError):
        return []
    return [one for one in found if 1 <= one.rating <= 5 and len(one.reviewer) <= _NAME and len(one.note) <= LONGEST]

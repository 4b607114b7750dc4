"""People rate answers: which ones they are shown, what they said so far, and how far they agree.

Every reviewer of the same snapshots is shown the same answers, so that their ratings can be compared. What was said is
kept on this machine until the sitting ends, and enters the ledger as one file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import StorageError, UsageError
from publisher.files import sha256_hex, storage_error
from publisher.gate import agreement
from publisher.ledger import canaries
from publisher.schema import Review

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Sample

LONGEST_NOTE = 1000
"""Characters of a note that are kept."""
LONGEST_NAME = 100
LARGEST_JOURNAL = 4 << 20


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer that a reviewer is to rate, whole; private ones are only shown where they were measured."""

    run_id: str
    sample: Sample
    private: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """Answers to one problem: one, or one of each of two snapshots in an order that says nothing."""

    answers: tuple[Shown, ...]

    @property
    def is_blind(self) -> bool:
        """Whether two answers are compared without their names."""
        return len(self.answers) > 1


@dataclass(frozen=True, slots=True)
class Preference:
    """How often a snapshot's answer was rated above, as, and below the other's, blind and by the same reviewer."""

    better: int = 0
    alike: int = 0
    worse: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the reviews of a snapshot say together."""

    ratings: int
    mean: float | None
    reviewers: dict[str, int]
    """How many answers each of them rated."""
    wrong: int
    shared: int
    """Answers that more than one reviewer rated."""
    alpha: float | None
    """Their agreement: Krippendorff's alpha, ordinal; None where nothing can be said."""


def tasks(project: Project, runs: Sequence[Run], reviewer: str, *, count: int, suite: str = "") -> list[Task]:
    """Return what a reviewer is to rate of one run, or of two runs blind: at most `count` problems.

    Which problems depends on the runs alone, the order of two answers on the reviewer too. Raises UsageError where
    there is nothing to show: no such suite, or only answers of private suites that were measured elsewhere.
    """
    known = [_first_answers(project, run, suite) for run in runs]
    shared = set(known[0]).intersection(*known[1:])
    if not shared:
        where = f"suite {suite!r} of " if suite else ""
        raise UsageError(
            f"{where}{runs[0].line.snapshot or runs[0].run_id} has no answers that can be shown here",
            hint="answers of private suites can be reviewed on the machine that measured them",
        )
    salt = " ".join(sorted(run.run_id for run in runs))
    chosen = sorted(shared, key=lambda key: sha256_hex(f"{salt} {key}".encode()))[:count]
    found = []
    for key in chosen:
        answers = tuple(one[key] for one in known)
        turned = int(sha256_hex(f"{reviewer} {salt} {key}".encode())[0], 16) % 2
        found.append(Task(answers[::-1] if turned else answers))
    return found


def _first_answers(project: Project, run: Run, suite: str) -> dict[tuple[str, str], Shown]:
    """Return the first whole answer to each problem of a run."""
    record = project.record(run.run_id)
    private = {one.name for one in record.suites if not one.public}
    found: dict[tuple[str, str], Shown] = {}
    for sample in project.samples(run.run_id):
        if suite in {"", sample.suite} and not sample.withheld and sample.outcome != "error":
            shown = Shown(run.run_id, sample, sample.suite in private)
            found.setdefault((sample.suite, sample.problem), shown)
    return found


@dataclass(slots=True)
class Sitting:
    """What a reviewer said and the ledger does not have yet; a file on this machine, a line per rating."""

    project: Project
    path: Path
    reviewer: str
    said: list[Review] = field(default_factory=list)

    @classmethod
    def open(cls, project: Project, reviewer: str) -> Sitting:
        """Return the sitting of a reviewer, with what an interrupted one had said; a line that was cut is left out."""
        path = project.workspace / "reviews" / f"{sha256_hex(reviewer.encode())[:16]}.jsonl"
        said = []
        for line in path.read_bytes()[:LARGEST_JOURNAL].splitlines() if path.is_file() else []:
            try:
                said.append(msgspec.json.decode(line, type=Review))
            except msgspec.MsgspecError:
                continue
        return cls(project, path, reviewer, said)

    def add(self, review: Review) -> None:
        """Keep one rating; StorageError where the disk is full."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                # The line break comes first: a line that a crash cut short then spoils no other.
                stream.write(b"\n" + msgspec.json.encode(review))
        except OSError as error:
            raise storage_error(error, self.path) from error
        self.said.append(review)

    def left(self, found: Sequence[Task]) -> list[Task]:
        """Return the tasks that this reviewer has not rated, here or in the ledger."""
        rated = {(one.run_id, one.suite, one.problem, one.seed) for one in self.said}
        for run_id in {shown.run_id for task in found for shown in task.answers}:
            known = canaries.reviews(self.project.ledger, run_id)
            rated |= {(run_id, one.suite, one.problem, one.seed) for one in known if one.reviewer == self.reviewer}
        return [task for task in found if not all(_key(shown) in rated for shown in task.answers)]

    def enter(self) -> int:
        """Put what was said into the ledger, a file per run, and return how many ratings that were.

        The files are named by what they hold, so that a sitting that was interrupted here is entered once.
        """
        by_run: defaultdict[str, list[Review]] = defaultdict(list)
        for review in self.said:
            by_run[review.run_id].append(review)
        files: dict[str, bytes] = {}
        for said in by_run.values():
            files |= canaries.review_file(said, sha256_hex(msgspec.json.encode(said))[:16])
        ledger = self.project.ledger
        if files:
            ledger.sync()
            new = {path: data for path, data in files.items() if not ledger.has(path)}
            if new:
                ledger.append(new, f"Reviews by {self.reviewer}\n", unless=lambda: all(map(ledger.has, new)))
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {self.path}: {error.strerror}") from error
        count, self.said = len(self.said), []
        return count


def _key(shown: Shown) -> tuple[str, str, str, int]:
    return (shown.run_id, shown.sample.suite, shown.sample.problem, shown.sample.seed)


def told(reviews: Sequence[Review]) -> Told:
    """Return what reviews of one run say together."""
    units: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
    reviewers: defaultdict[str, int] = defaultdict(int)
    for one in reviews:
        units[one.suite, one.problem, one.seed].append(one.rating)
        reviewers[one.reviewer] += 1
    return Told(
        ratings=len(reviews),
        mean=sum(one.rating for one in reviews) / len(reviews) if reviews else None,
        reviewers=dict(reviewers),
        wrong=sum(one.wrong for one in reviews),
        shared=sum(len(unit) > 1 for unit in units.values()),
        alpha=agreement.alpha(units.values()),
    )


def preference(own: Iterable[Review], other: Iterable[Review]) -> Preference:
    """Return how one run's answers were rated beside another's to the same problem, blind and by the same reviewer."""
    above = [mine.rating - theirs.rating for mine, theirs in _compared(own, other)]
    return Preference(sum(one > 0 for one in above), sum(one == 0 for one in above), sum(one < 0 for one in above))


def differences(own: Iterable[Review], other: Iterable[Review]) -> list[float]:
    """Return how much higher each reviewer rated one run's answers than another's, blind: the mean over problems.

    In the order in which the reviewers rated last. One value per reviewer: their answers are not independent.
    """
    by_reviewer: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for mine, theirs in _compared(own, other):
        by_reviewer[mine.reviewer].append((max(mine.time, theirs.time), mine.rating - theirs.rating))
    said = [
        (max(time for time, _ in words), sum(above for _, above in words) / len(words))
        for words in by_reviewer.values()
    ]
    return [above for _, above in sorted(said, key=itemgetter(0))]


def _compared(own: Iterable[Review], other: Iterable[Review]) -> Iterator[tuple[Review, Review]]:
    """Yield the reviews of two runs by the same reviewer of the same problem, where both answers were rated blind."""
    theirs = {(one.reviewer, one.suite, one.problem): one for one in other if one.blind}
    for mine in own:
        found = theirs.get((mine.reviewer, mine.suite, mine.problem))
        if mine.blind and found is not None:
            yield mine, found


def check_reviewer(name: str) -> str:
    """Return a reviewer's name as it is kept; UsageError where there is none, or one that cannot be kept."""
    flat = " ".join(name.split())
    if not flat or len(flat) > LONGEST_NAME or any("\ud800" <= character <= "\udfff" for character in flat):
        raise UsageError(
            f"a reviewer needs a name of at most {LONGEST_NAME} characters", hint="--as NAME, or git config user.name"
        )
    return flat

"""What a site is rendered from: the snapshot's own tree, read once into one frozen value."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from publisher import schema, shards
from publisher.config import FILE, SiteConfig, parse_site
from publisher.errors import StorageError, UsageError
from publisher.files import sha256_hex
from publisher.render import text
from publisher.render.material import material
from publisher.render.texts import Texts
from publisher.render.trial import Trial, trial
from publisher.samples import FILE as SAMPLES
from publisher.samples import unpack_samples, without_text
from publisher.schema import (
    CanaryPage,
    History,
    HistoryLine,
    HistoryScore,
    Lesson,
    Outlines,
    Record,
    Report,
    Sample,
    SplitPage,
    SuiteIdentity,
    SuiteResult,
    Verdict,
    VerdictWord,
)
from publisher.schema.outline import LARGEST_OUTLINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FOLDER = "ledger"
COMPARED = "compared"
"""The folder below it with the answers of the runs that the report compares this one with."""
LESSONS = "lessons"
"""The folder below it with what the rejected runs since the last kept one teach."""
LARGEST_LESSON = 1 << 20
OUTLINES = "outlines.json"
CANARY = "canary.json"
SPLIT = "split.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,120}\Z")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """What to render: a checkout of a snapshot commit, and where the result will be seen.

    `address` is the site's main address, `branch` the snapshot's branch (used where the history does not name it) and
    `commit` its full hash. The deploy's own id and address end up in `deploy.json` and nowhere else.
    """

    tree: Path
    address: str
    branch: str
    commit: str
    deploy_id: str = ""
    deploy_url: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that the pages of one snapshot show.

    It equals only itself, so that what follows from it can be kept.
    """

    record: Record
    record_sha256: str
    verdict: Verdict
    history: History
    history_files: Mapping[str, bytes]
    """The history as it is stored, by path: the index and its parts."""
    own: HistoryLine
    """This run's line in the history."""
    samples: tuple[Sample, ...]
    """Those with a long answer without its text, which `texts` has."""
    texts: Texts
    report: Report | None
    """What the verdict was reported with; None in snapshots of older publishers."""
    outlines: Outlines | None
    """This run and older ones in outline; None in snapshots of older publishers."""
    compared: Mapping[str, tuple[Sample, ...]]
    """Of the runs in the report, by run id: the samples of problems that turned and may be shown."""
    lessons: Mapping[str, Lesson]
    """What the rejected runs since the last kept one teach, by run id, as far as the snapshot carries it."""
    commit: str
    branch: str
    main: str
    pin: str
    trial: Trial | None
    """What a trial of the model in a browser needs; None where the site has no page for it."""
    canary: CanaryPage | None
    """The gray release that this deploy is part of; None in a snapshot's own."""
    split: SplitPage | None
    """The gray release whose readers this deploy splits; None in a snapshot's own."""
    site: Mapping[str, bytes]
    """What the site is made of, by path: `templates/…`, `assets/…`, `content/…`, `static/…`, `strings/…`."""
    own_site: frozenset[str]
    """The paths among them that the team's own `site/` brought."""
    options: SiteConfig
    """What the commit's `publisher.toml` says of the pages."""

    @property
    def lang(self) -> str:
        """The language of the pages."""
        return self.options.lang

    @functools.cached_property
    def headline(self) -> SuiteResult:
        """The result whose score stands for the run: the verdict's headline, or the first where it was not measured."""
        chosen = (result for result in self.record.results if result.suite == self.verdict.headline)
        return next(chosen, self.record.results[0])

    @property
    def threshold(self) -> float | None:
        """The score that the gate asked of the headline suite, where it had such a rule."""
        asked = (
            rule.limit
            for rule in self.verdict.rules
            if rule.rule == "threshold" and rule.effect == "block" and rule.suite == self.headline.suite
        )
        return max((limit for limit in asked if limit is not None), default=None)

    @property
    def word(self) -> VerdictWord:
        """What became of the run: the gate's verdict, or that of a maintainer who overruled it."""
        return self.own.decision.verdict if self.own.decision else self.verdict.verdict

    def identity(self, suite: str) -> SuiteIdentity:
        """Return how a suite was used."""
        return next(item for item in self.record.suites if item.name == suite)

    def score(self, line: HistoryLine) -> HistoryScore | None:
        """Return a line's score on the headline suite; None where it has none or the suite was another then."""
        # Asked for every run of the history, several times.
        suite, version = self._measured
        theirs = line.scores.get(suite)
        return theirs if theirs and version == theirs.suite else None

    @functools.cached_property
    def _measured(self) -> tuple[str, str | None]:
        """The headline suite and the version of it that this run measured; None where its line has no score of it."""
        mine = self.own.scores.get(self.headline.suite)
        return self.headline.suite, mine.suite if mine else None

    @functools.cached_property
    def older(self) -> list[HistoryLine]:
        """The kept runs before this one that can be compared with it, oldest first."""
        lines = self.history.lines
        before = lines[: lines.index(self.own)]
        return [
            line
            for line in before
            if line.verdict == "kept" and line.tier == self.record.tier and self.score(line) is not None
        ]


def gather(source: Source) -> Snapshot:
    """Read the snapshot in `source.tree`; nothing is written.

    Raises UsageError where the tree holds no snapshot, StorageError where a part of it cannot be read or does not fit
    the others.
    """
    folder = source.tree / FOLDER
    if not (folder / "record.json").is_file():
        raise UsageError(
            f"{source.tree} has no {FOLDER}/record.json: this is not a snapshot, so there is nothing to render",
            hint="publisher publish   makes a snapshot branch; its build renders the site",
        )
    record_bytes = _read(folder / "record.json")
    record = schema.decode(record_bytes, Record, f"{FOLDER}/record.json")
    verdict = schema.decode(_read(folder / "verdict.json"), Verdict, f"{FOLDER}/verdict.json")
    index = _read(folder / shards.INDEX)
    history, history_files = shards.join(index, lambda path: _read(folder / path), f"{FOLDER}/{shards.INDEX}")
    texts = Texts()
    samples = tuple(texts.without(_shown(unpack_samples(_read(folder / SAMPLES)), record)))
    _check(record, verdict, history, samples)
    own = next(line for line in history.lines if line.run_id == record.run_id)
    report = _report(folder, record)
    main = _main_address(source.address or history.site)
    site, own_site = material(source.tree)
    branch = _branch(own.snapshot or source.branch)
    return Snapshot(
        record=record,
        record_sha256=sha256_hex(record_bytes),
        verdict=verdict,
        history=history,
        history_files=history_files,
        own=own,
        samples=samples,
        texts=texts,
        report=report,
        outlines=_outlines(folder, record),
        compared=_compared(folder, report, record) if report else {},
        lessons=_lessons(folder, record, history),
        commit=source.commit,
        branch=branch,
        main=main,
        pin=prefixed(main, branch),
        canary=_canary(folder),
        split=_split(folder),
        trial=trial(source.tree, record.model, record.prompt),
        site=site,
        own_site=own_site,
        options=_options(source.tree / FILE),
    )


def _options(path: Path) -> SiteConfig:
    """Return `[site]` of the commit's configuration; the defaults where it has none."""
    return parse_site(_read(path)) if path.is_file() else SiteConfig()


def _canary(folder: Path) -> CanaryPage | None:
    """Return what the tree says of a gray release; None where it is a snapshot's own."""
    path = folder / CANARY
    return schema.decode(_read(path), CanaryPage, f"{FOLDER}/{CANARY}") if path.is_file() else None


def _split(folder: Path) -> SplitPage | None:
    """Return what the tree says of readers that are split; None where it is a snapshot's own."""
    path = folder / SPLIT
    return schema.decode(_read(path), SplitPage, f"{FOLDER}/{SPLIT}") if path.is_file() else None


def _report(folder: Path, record: Record) -> Report | None:
    """Return the report of the verdict; None where there is none, StorageError where it is another run's."""
    path = folder / "report.json"
    if not path.is_file():
        return None
    found = schema.decode(_read(path), Report, f"{FOLDER}/report.json")
    ids = {found.run.run_id, found.verdict.run_id, *(one.run.run_id for one in (found.previous, found.best) if one)}
    if ids != {record.run_id}:
        raise StorageError(f"{FOLDER}/report.json is about another run than {record.run_id}")
    return found


def _outlines(folder: Path, record: Record) -> Outlines | None:
    """Return the runs in outline; None where there are none, StorageError where they cannot be this snapshot's."""
    path = folder / OUTLINES
    if not path.is_file():
        return None
    data = _read(path)
    if len(data) > 2 * LARGEST_OUTLINES:
        raise StorageError(f"{FOLDER}/{OUTLINES} has more than {2 * LARGEST_OUTLINES} bytes")
    found = schema.decode(data, Outlines, f"{FOLDER}/{OUTLINES}")
    if not found.runs or found.runs[0].run_id != record.run_id:
        raise StorageError(f"{FOLDER}/{OUTLINES} is about another run than {record.run_id}")
    return found


def _compared(folder: Path, report: Report, record: Record) -> dict[str, tuple[Sample, ...]]:
    """Return the samples that stand beside this run's: of problems that turned, in suites that are public in both."""
    public = {suite.name for suite in record.suites if suite.public}
    found: dict[str, tuple[Sample, ...]] = {}
    for one in (report.previous, report.best):
        path = folder / COMPARED / one.base.run_id / SAMPLES if one and _RUN.match(one.base.run_id) else None
        if one is None or path is None or not path.is_file():
            continue
        wanted = {
            (suite.suite, flip.problem)
            for suite in one.suites
            if suite.public and suite.suite in public
            for flip in (*suite.turned_wrong, *suite.turned_right)
        }
        found[one.base.run_id] = tuple(
            sample
            for sample in unpack_samples(_read(path))
            if (sample.suite, sample.problem) in wanted and not sample.withheld
        )
    return found


def _lessons(folder: Path, record: Record, history: History) -> dict[str, Lesson]:
    """Return what the rejected runs of the history teach, by run id; without a word of a suite that is private here."""
    private = {suite.name for suite in record.suites if not suite.public}
    there = {path.stem: path for path in (folder / LESSONS).glob("*.json") if path.is_file()}
    found = {}
    for line in history.lines:
        path = there.get(line.run_id)
        if path is None or line.verdict != "rejected" or line.taken_down:
            continue
        where = f"{FOLDER}/{LESSONS}/{path.name}"
        if path.stat().st_size > LARGEST_LESSON:
            raise StorageError(f"{where} has more than {LARGEST_LESSON} bytes")
        lesson = schema.decode(_read(path), Lesson, where)
        if {lesson.run.run_id, lesson.verdict.run_id} != {line.run_id}:
            raise StorageError(f"{where} is about another run than {line.run_id}")
        wrong = [one for one in lesson.wrong if one.suite not in private and not one.withheld]
        found[line.run_id] = msgspec.structs.replace(lesson, wrong=wrong)
    return found


def prefixed(main: str, name: str) -> str:
    """Return the address that the main address `main` has for a branch or a deploy called `name`."""
    scheme, _, host = main.partition("://")
    return f"{scheme}://{name}--{host}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing from the snapshot") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _check(record: Record, verdict: Verdict, history: History, samples: Iterable[Sample]) -> None:
    """Check that the parts belong together and that each suite's name can be a folder; StorageError otherwise."""
    if verdict.run_id != record.run_id:
        raise StorageError(f"{FOLDER}/verdict.json is about the run {verdict.run_id}, not {record.run_id}")
    if all(line.run_id != record.run_id for line in history.lines):
        raise StorageError(f"{FOLDER}/history.json has no line for {record.run_id}")
    if not record.results:
        raise StorageError(f"{FOLDER}/record.json has no results")
    known = {suite.name for suite in record.suites}
    for name in sorted({result.suite for result in record.results} | {sample.suite for sample in samples} | known):
        if name not in known or not _NAME.match(name) or ".." in name:
            raise StorageError(f"{FOLDER}/ names a suite {text.line(name, 80)!r} that the record does not have")


def _shown(samples: Iterable[Sample], record: Record) -> Iterator[Sample]:
    """Yield the samples, those of private suites without any text: no page can show what it never gets."""
    public = {suite.name for suite in record.suites if suite.public}
    for sample in samples:
        yield sample if sample.suite in public else without_text(sample)


def _main_address(given: str) -> str:
    """Return the site's main address without a final slash; UsageError where it is not one."""
    main = text.address(given)
    if not main or not urlsplit(main).hostname:
        raise UsageError(f"{given!r} is not the address of a site", hint="--address https://NAME.netlify.app")
    return main


def _branch(name: str) -> str:
    """Return a snapshot's branch name; UsageError where it could not stand in an address."""
    if not _BRANCH.match(name):
        raise UsageError(f"{name!r} is not the name of a snapshot branch", hint="--branch snapshot-…")
    return name

"""Plain values for the templates: everything is formatted, sorted and counted here, so that templates only loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import charts, text
from publisher.render.tables import HistoryRow, differences, history_rows, marks, runs_in_words

if TYPE_CHECKING:
    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.schema import Counts, RuleResult, SuiteResult

RECENT_ROWS = 12
RECENT_MARKS = 150
NARROW_MARKS = 24
MOST_TILES = 1200
OUTCOMES = ("right", "wrong", "unanswered", "truncated", "error")


@dataclass(frozen=True, slots=True)
class Link:
    """A place to go: what it is called, where it is (from the site's root), and whether the page is part of it."""

    label: str
    href: str
    section: str = ""


@dataclass(frozen=True, slots=True)
class SiteView:
    """What every page of the site says."""

    name: str
    branch: str
    main: str
    pin: str
    commit: str
    short: str
    headline: str
    verdict: str
    published: str
    published_machine: str
    tier: str
    nav: tuple[Link, ...]
    more: tuple[Link, ...]
    data: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list of facts; `code` where the value is for machines."""

    term: str
    value: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts under one heading."""

    heading: str
    entries: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """Lines to type, and what they do."""

    purpose: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuiteView:
    """One suite's result."""

    name: str
    href: str
    score: str
    stderr: str
    interval: str
    gauge: Markup
    size: str
    outcomes: tuple[Fact, ...]
    pass_at: tuple[Fact, ...]
    kinds: tuple[tuple[str, str, Markup], ...]
    speed: tuple[Fact, ...]
    public: bool
    grader: str
    tiles: Markup | None
    headline: bool


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule of the gate: what it asked, what it found, and why it decided so."""

    rule: str
    suite: str
    outcome: str
    reason: str
    measured: str
    limit: str


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart in two sizes, with the words that go with it."""

    wide: Markup
    narrow: Markup
    caption: str
    note: str
    has_threshold: bool
    has_inconclusive: bool
    has_unreadable: bool
    has_band: bool
    dense: bool


@dataclass(frozen=True, slots=True)
class HomeView:
    """The snapshot's own page."""

    model: str
    suite: str
    subject: str
    author: str
    score: str
    stderr: str
    interval: str
    basis: str
    gauge: Markup
    threshold: str
    verdict: str
    summary: str
    changes: tuple[tuple[str, str, str, str], ...]
    suites: tuple[SuiteView, ...]
    rules: tuple[RuleView, ...]
    chart: ChartView | None
    history: tuple[HistoryRow, ...]
    history_more: int
    facts: tuple[Facts, ...]
    reproduce: tuple[Command, ...]
    pinning: tuple[Command, ...]
    dirty: bool


def site_view(snapshot: Snapshot, content: tuple[Link, ...]) -> SiteView:
    """Return what every page says: names, addresses and the ways around."""
    record, result = snapshot.record, snapshot.headline
    named = {link.section: link for link in content}
    nav = [Link("Snapshot", "", "snapshot"), Link("Answers", "samples/", "samples")]
    nav += [Link(name, f"{name.lower()}/", name.lower()) for name in ("History", "Compare", "Rejected")]
    data = [Link(name, name) for name in ("snapshot.json", "history.json", "manifest.json", "badge.json", "feed.xml")]
    return SiteView(
        name=text.line(record.model.name, 60),
        branch=snapshot.branch,
        main=snapshot.main,
        pin=snapshot.pin,
        commit=text.line(record.commit.sha),
        short=text.line(record.commit.sha[:12]),
        headline=f"{result.suite} {text.points(result.score)} ± {text.points(result.stderr)}",
        verdict=snapshot.verdict.verdict,
        published=text.time(record.finished),
        published_machine=text.machine_time(record.finished),
        tier=text.line(record.tier, 40),
        nav=(*nav, *(named[name] for name in ("method", "pin") if name in named)),
        more=tuple(link for link in content if link.section not in {"method", "pin"}),
        data=tuple(data),
    )


def home(snapshot: Snapshot) -> HomeView:
    """Return the snapshot's own page."""
    record, result, limit = snapshot.record, snapshot.headline, snapshot.threshold
    lines = snapshot.history.lines[::-1]
    rules = snapshot.verdict.rules
    passed = sum(rule.outcome == "pass" for rule in rules)
    return HomeView(
        model=text.line(record.model.name, 100),
        suite=result.suite,
        subject=text.line(record.commit.subject, 160),
        author=text.line(record.commit.author, 80),
        score=text.points(result.score),
        stderr=text.points(result.stderr),
        interval=text.interval(result.interval.low, result.interval.high),
        basis=_basis(snapshot, result),
        gauge=_gauge(result, limit),
        threshold="" if limit is None else text.points(limit),
        verdict=snapshot.verdict.verdict,
        summary=f"{passed} of {text.plural(len(rules), 'rule')} passed" if rules else "no rules",
        changes=tuple(differences(snapshot)),
        suites=tuple(suite_view(snapshot, item) for item in record.results),
        rules=tuple(_rule(snapshot, rule) for rule in rules),
        chart=chart(snapshot),
        history=tuple(history_rows(snapshot, lines[:RECENT_ROWS])),
        history_more=max(0, len(lines) - RECENT_ROWS),
        facts=tuple(facts(snapshot)),
        reproduce=tuple(_reproduce(snapshot)),
        pinning=tuple(pinning(snapshot)),
        dirty=record.commit.dirty,
    )


def _basis(snapshot: Snapshot, result: SuiteResult) -> str:
    suite = snapshot.identity(result.suite)
    return f"{text.plural(suite.problems, 'problem')} × {text.plural(suite.samples, 'sample')}"


def _gauge(result: SuiteResult, limit: float | None = None, *, titled: bool = True) -> Markup:
    low, high = result.interval.low, result.interval.high
    title = f"{text.points(result.score)} points, 95 % interval {text.interval(low, high)}" if titled else ""
    return charts.gauge(result.score, low, high, threshold=limit, title=title)


def suite_view(snapshot: Snapshot, result: SuiteResult) -> SuiteView:
    """Return one suite's result."""
    suite = snapshot.identity(result.suite)
    shares = list(shares_right(snapshot, result).values())
    drawn = charts.tiles(shares, title=f"{text.plural(len(shares), 'problem')} of {result.suite}, one square each")
    return SuiteView(
        name=result.suite,
        href=f"samples/{result.suite}/",
        score=text.points(result.score),
        stderr=text.points(result.stderr),
        interval=text.interval(result.interval.low, result.interval.high),
        gauge=_gauge(result, titled=False),
        size=_basis(snapshot, result),
        outcomes=tuple(_outcomes(result.counts)),
        pass_at=tuple(Fact(f"pass@{text.line(k, 8)}", text.points(value)) for k, value in _by_k(result.pass_at)),
        kinds=tuple(
            (text.line(kind, 60), text.points(score), charts.gauge(score, score, score))
            for kind, score in sorted(result.kinds.items())
        ),
        speed=tuple(_speed(result)),
        public=suite.public,
        grader=text.line(f"{suite.grader} {suite.grader_version}", 60),
        tiles=drawn if 0 < len(shares) <= MOST_TILES else None,
        headline=result.suite == snapshot.headline.suite,
    )


def shares_right(snapshot: Snapshot, result: SuiteResult) -> dict[str, float | None]:
    """Return each problem's share of right samples, in the order of the answers; None where none was scored."""
    scored: dict[str, int] = {}
    for sample in snapshot.samples:
        if sample.suite == result.suite:
            scored[sample.problem] = scored.get(sample.problem, 0) + (sample.outcome != "error")
    return {name: result.right_by_problem.get(name, 0) / draws if draws else None for name, draws in scored.items()}


def _by_k(pass_at: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(pass_at.items(), key=lambda item: (len(item[0]), item[0]))


def _outcomes(counts: Counts) -> list[Fact]:
    return [Fact(word, text.count(getattr(counts, word))) for word in OUTCOMES]


def _speed(result: SuiteResult) -> list[Fact]:
    answers = max(1, result.counts.scored + result.counts.error)
    return [
        Fact("tokens generated", text.count(result.tokens)),
        Fact("tokens an answer", text.count(result.tokens / answers)),
        Fact("tokens a second", text.count(result.tokens_per_second)),
        Fact("latency p50 / p99", f"{text.duration(result.latency.p50)} / {text.duration(result.latency.p99)}"),
    ]


def _rule(snapshot: Snapshot, rule: RuleResult) -> RuleView:
    return RuleView(
        rule=text.line(rule.rule, 40),
        suite=text.line(rule.suite or snapshot.headline.suite, 64),
        outcome=rule.outcome,
        reason=text.line(rule.reason, 400),
        measured=text.NONE if rule.measured is None else text.points(rule.measured),
        limit=text.NONE if rule.limit is None else text.points(rule.limit),
    )


def chart(snapshot: Snapshot, most: int = RECENT_MARKS, name: str = "recent") -> ChartView | None:
    """Return the chart of the newest `most` runs of this tier on the headline suite; None where there is none.

    `name` tells two charts on one page apart; the phone's variant shows the newest few runs of the recent ones.
    """
    drawn = marks(snapshot)
    if not drawn:
        return None
    suite, limit, shown = snapshot.headline.suite, snapshot.threshold, drawn[-most:]
    title = f"{suite}: score of {runs_in_words(shown)}"
    description = f"Points with 95 % intervals, oldest left. Latest: {drawn[-1].title}. The table has the same figures."
    wide, narrow = (
        charts.trend(part, frame, name=name, title=title, description=description, threshold=limit)
        for part, frame in ((shown, charts.WIDE), (shown[-NARROW_MARKS:] if name == "recent" else shown, charts.NARROW))
    )
    others = len(snapshot.history.lines) - len(drawn)
    note = f"{text.plural(others, 'run')} of other tiers or suite versions left out." if others else ""
    shapes = {mark.shape for mark in shown}
    return ChartView(
        wide,
        narrow,
        title,
        note,
        has_threshold=limit is not None,
        has_inconclusive="inconclusive" in shapes,
        has_unreadable="unreadable" in shapes,
        has_band=len(shown) > charts.FULL_WHISKERS,
        dense=len(shown) > charts.FULL_DETAIL,
    )


def facts(snapshot: Snapshot) -> list[Facts]:
    """Return everything that decides the result, so that anyone can run it again."""
    record = snapshot.record
    model, engine, machine, sampling = record.model, record.engine, record.machine, record.sampling
    slots = text.plural(engine.slots, "slot")
    if engine.engines > 1:
        slots = f"{engine.engines} engines of {slots} each"
    groups = {
        "Commit": [
            ("commit", record.commit.sha, 1),
            ("subject", record.commit.subject, 0),
            ("author", record.commit.author, 0),
            ("written", text.time(record.commit.time), 0),
            ("run", record.run_id, 1),
            ("working tree", "differed from the commit" if record.commit.dirty else "as committed", 0),
        ],
        "Model": [
            ("name", model.name, 0),
            ("source", model.source, 1),
            ("sha256", model.sha256, 1),
            ("quantization", model.quantization, 0),
            ("architecture", model.architecture, 0),
            ("parameters", text.count(model.parameters), 0),
            ("size", text.size(model.size), 0),
            ("trained context", f"{text.count(model.context_trained)} tokens", 0),
            ("chat template", model.chat_template_sha256, 1),
        ],
        "Sampling": [
            ("temperature", f"{sampling.temperature:g}", 0),
            ("top p", f"{sampling.top_p:g}", 0),
            ("top k", _or_off(sampling.top_k), 0),
            ("min p", _or_off(sampling.min_p), 0),
            ("most tokens", text.count(sampling.max_tokens), 0),
            ("salt", record.salt, 1),
            ("fingerprint", record.fingerprint, 1),
        ],
        "Prompt": [
            ("system", record.prompt.system, 0),
            ("template", record.prompt.template, 0),
            ("sha256", record.prompt.sha256, 1),
        ],
        "Engine": [
            ("engine", f"{engine.name} {engine.version}", 0),
            ("build", engine.build, 0),
            ("backend", " · ".join(dict.fromkeys([engine.backend, *engine.devices])), 0),
            ("GPU layers", f"{engine.gpu_layers_offloaded} of {engine.layers} (wanted {engine.gpu_layers_wanted})", 0),
            ("schedule", f"{engine.mode}: {slots}, {text.plural(engine.threads, 'thread')}", 0),
            ("context", f"{text.count(engine.context)} tokens", 0),
        ],
        "Machine": [
            ("processor", f"{machine.cpu}, {text.plural(machine.cores, 'core')}", 0),
            ("GPU", machine.gpu or "none", 0),
            ("memory", text.size(machine.memory), 0),
            ("system", machine.system, 0),
            ("Python", machine.python, 0),
            ("publisher", machine.publisher, 0),
            ("took", text.duration(record.duration), 0),
        ],
    }
    shown = [
        (heading, [Fact(term, text.line(value, 400), bool(code)) for term, value, code in items if value])
        for heading, items in groups.items()
    ]
    return [Facts(heading, tuple(items)) for heading, items in shown]


def _or_off(value: float) -> str:
    return f"{value:g}" if value else "off"


def _reproduce(snapshot: Snapshot) -> list[Command]:
    record = snapshot.record
    commit, version = text.line(record.commit.sha), text.line(record.machine.publisher, 30)
    return [
        Command(
            "Fetch the commit, its record and every answer.",
            (f"git fetch origin {snapshot.branch}", f"git show {snapshot.commit}:ledger/record.json"),
        ),
        Command(
            "Measure it again: same model bytes, prompt, seeds and suites.",
            (
                f'pip install "snapshot-publisher[bench]=={version}"',
                f"publisher bench {commit} --tier {text.line(record.tier, 40)}",
            ),
        ),
    ]


def pinning(snapshot: Snapshot) -> list[Command]:
    """Return the commands that use this snapshot from elsewhere."""
    return [
        Command(
            "Read this snapshot's result from a script; the address always answers with this run.",
            (f"curl -fsS {snapshot.pin}/snapshot.json",),
        ),
        Command(
            "Check that nothing has changed: every file with its SHA-256.", (f"curl -fsS {snapshot.pin}/manifest.json",)
        ),
    ]

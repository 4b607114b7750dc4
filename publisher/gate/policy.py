"""The policy: every rule's result, and the one verdict that follows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from publisher.config import AnyRule, BestRatio, Budget, Erosion, MaxDrop, Regression, Relative
from publisher.config.gate import EVERY, own_alpha, spends_alpha
from publisher.files import canonical_json, sha256_hex
from publisher.gate.baseline import Measured, candidates, distinct
from publisher.gate.case import Case
from publisher.gate.extensions import repeated_up_to, stages
from publisher.gate.rules import check, check_early
from publisher.schema import RuleResult, Verdict, VerdictWord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from publisher.config import Config
    from publisher.schema import HistoryLine, Record


def decide(
    run: Measured, history: Sequence[HistoryLine], config: Config, *, records: Mapping[str, Record], decided: str
) -> Verdict:
    """Return the verdict of a run, given every earlier run, oldest first, and the records that `needed` names.

    A failing rule whose effect is to block rejects; else an inconclusive one leaves it open; else the run is kept. A
    policy without rules keeps everything. `decided` is the time that the verdict carries. A run that was stopped early
    can only be rejected, and completing one that was does not change its verdict. What a tier that publishes nothing
    would keep has passed.
    """
    config = config.of_tier(run.line.tier)
    early = run.record.stopped_early
    judge = check_early if early is not None else check
    earlier = [line for line in history if line.run_id != run.line.run_id]
    cases = list(_cases(run, earlier, config, records))
    results = [judge(case) for case in cases]
    if early is None:
        results = _stepped_down(cases, results)
        results += _rejected_before(run, earlier, config)
    word, same = _word(results), ""
    if early is None and not config.publishes(run.line.tier):
        word = "passed" if word == "kept" else word
    elif early is None:
        word, same, held = _settled(word, run, earlier, config, records)
        results += held
    results += _offload(run.record, config.headline)
    return Verdict(
        run_id=run.line.run_id,
        verdict=word,
        rules=results,
        headline=config.headline,
        policy_sha256=sha256_hex(canonical_json(config.gate)),
        decided=decided,
        stopped_early=early.why if early is not None else "",
        same_as=same,
        baseline=run.reset.why if run.reset else "",
        reset=run.reset.commit if run.reset else "",
        no_gain=all(result.no_gain for result in results if _rejects(result)) and word == "rejected",
    )


def _settled(
    word: VerdictWord,
    run: Measured,
    earlier: Sequence[HistoryLine],
    config: Config,
    records: Mapping[str, Record],
) -> tuple[VerdictWord, str, list[RuleResult]]:
    """Return the last word on a complete run, the run whose snapshot it shares, and what somebody has to approve.

    A run that measured what the newest kept one did is `unchanged`, whatever the rules say; one that measured what an
    older one did, if they keep it: a commit that goes back to a worse model is no news, and still worse.
    """
    kept = [line for line in earlier if line.verdict == "kept" and line.tier == run.line.tier]
    same = [line for line in kept if _measured_the_same(run.line, line) and _stands(line, config.netlify.site)]
    shares = config.gate.unchanged == "share"
    if shares and same and (same[-1] is kept[-1] or word == "kept"):
        return "unchanged", same[-1].run_id, []
    if word != "kept" or not kept or not config.gate.approval:
        return word, "", []
    before = records.get(kept[-1].run_id)
    changed = [part for part in config.gate.approval if before is not None and _differs(part, run.record, before)]
    held = [
        RuleResult(
            rule="approval",
            suite=config.headline,
            outcome="inconclusive",
            effect="note",
            reason=f"the {part} differs from {kept[-1].run_id}'s, and that waits for approval: publisher approve",
            baseline=kept[-1].run_id,
        )
        for part in changed
    ]
    return ("held", "", held) if held else (word, "", [])


def _offload(record: Record, headline: str) -> list[RuleResult]:
    """Return a note where fewer layers were on a GPU than were asked for: it decides nothing, but times and text."""
    missing = record.engine.offload_missing
    words = RuleResult(rule="offload", suite=headline, outcome="inconclusive", effect="note", reason=missing)
    return [words] if missing else []


def _measured_the_same(own: HistoryLine, other: HistoryLine) -> bool:
    """Return whether a kept run of another commit has the very same samples."""
    return own.fingerprint == other.fingerprint and own.salt == other.salt and own.commit != other.commit


def _stands(line: HistoryLine, site: str) -> bool:
    """Return whether a run's snapshot is there, or will be, on a site: one that is not there cannot be shared.

    A commit that corrects the site's name measures what the one before it did.
    """
    gone = line.pruned or line.stopped_early or line.given_up or line.taken_down
    return not gone and not (site and line.address and f"--{site}." not in line.address)


def _differs(part: str, now: Record, before: Record) -> bool:
    """Return whether what `[gate] approval` names is not as it was in the last kept run."""
    match part:
        case "model":
            return now.model.sha256 != before.model.sha256
        case "prompt":
            return now.prompt.sha256 != before.prompt.sha256
        case "sampling":
            return now.sampling != before.sampling
        case _:
            # The build is what the engine says of itself; the condition is a digest of its libraries.
            conditions = now.conditions.get("engine"), before.conditions.get("engine")
            return now.engine.build != before.engine.build or conditions[0] != conditions[1]


def _cases(
    run: Measured, earlier: Sequence[HistoryLine], config: Config, records: Mapping[str, Record]
) -> Iterator[Case]:
    """Yield what each rule looks at, in the order of the policy."""
    samples = {part.name: part.samples for part in run.record.suites}
    if run.line.tier in config.tiers:
        # A run that was trimmed to its minutes is complete with fewer samples than its tier takes.
        samples |= {name: min(k, samples.get(name, k)) for name, k in config.tier(run.line.tier).items()}
    for test in planned_tests(config, run.line, samples):
        yield Case(test.rule, test.suites, run, earlier, records, test.level, samples, config.gate.early, test.most)


class PlannedTest(NamedTuple):
    """A rule on one suite or on several as one: its share of alpha, and up to how many samples it may be repeated."""

    rule: AnyRule
    suites: tuple[str, ...]
    level: float
    most: int


def planned_tests(config: Config, line: HistoryLine, samples: Mapping[str, int]) -> Iterator[PlannedTest]:
    """Yield every test of a run, in the order of the policy; `samples` are the planned ones per problem, by suite."""
    for rule, share in zip(config.gate.rules, shares_of_alpha(config, line), strict=True):
        for suites in suites_of(rule, line, config):
            most = repeated_up_to(rule, suites, config)
            level = share
            if most and not isinstance(rule, Regression):
                level /= stages(most, max(samples.get(suite, 1) for suite in suites))
            yield PlannedTest(rule, suites, level, most)


def _stepped_down(cases: Sequence[Case], results: Sequence[RuleResult]) -> list[RuleResult]:
    """Test the rest of the tests that share alpha again, at the share of those that have failed too.

    Where one of n tests fails at alpha / n, the others may be tested at alpha / (n - 1), and so on: the verdict is no
    other, but every suite that lost is named. Source: Holm (1979).
    """
    found = list(results)
    sharing = [place for place, case in enumerate(cases) if spends_alpha(case.rule) and own_alpha(case.rule) is None]
    # What has to be shown (a gain, no harm) fails where nothing is shown: that frees no alpha.
    retested = [
        place for place in sharing if not isinstance(rule := cases[place].rule, Regression) or rule.prove == "harm"
    ]
    failed: set[int] = set()
    while len(now := {place for place in retested if _failed_by_p(found[place])}) > len(failed):
        failed = now
        for place in set(retested) - failed:
            case = cases[place]
            found[place] = check(replace(case, level=case.level * len(sharing) / (len(sharing) - len(failed))))
    return found


def _failed_by_p(result: RuleResult) -> bool:
    """Return whether a test rejected what it tested, and so leaves its share of alpha to the others."""
    return result.outcome == "fail" and result.level is not None


def _rejected_before(run: Measured, earlier: Iterable[HistoryLine], config: Config) -> list[RuleResult]:
    """Return a failure where an earlier look at the same measurement rejected it: its alpha is spent."""
    own = run.line
    return [
        RuleResult(
            rule="look",
            suite=config.headline,
            outcome="fail",
            reason=f"{line.run_id} was rejected at a look, and completing it does not change the verdict: {line.why}",
            baseline=line.run_id,
        )
        for line in earlier
        if line.stopped_early
        and line.verdict == "rejected"
        and (line.commit, line.tier, line.generation, line.salt) == (own.commit, own.tier, own.generation, own.salt)
    ][:1]


def needed(run: Measured, history: Sequence[HistoryLine], config: Config) -> list[str]:
    """Return the ids of the runs whose records the rules read: at most a few windows, however long the history is."""
    config = config.of_tier(run.line.tier)
    wanted: dict[str, None] = {}
    for rule in config.gate.rules:
        for suites in suites_of(rule, run.line, config):
            if all(suite in run.line.scores for suite in suites):
                wanted |= dict.fromkeys(_needed(rule, run, history, suites))
    if config.gate.approval:
        kept = [line for line in history if line.verdict == "kept" and line.tier == run.line.tier]
        wanted |= dict.fromkeys(line.run_id for line in kept[-1:])
    return list(wanted)


def _needed(rule: AnyRule, run: Measured, history: Sequence[HistoryLine], suites: tuple[str, ...]) -> Iterable[str]:
    """Yield the runs whose counts one rule reads, and the one that it has to tell differences from."""
    found = candidates(run, history, suites)
    if found.other is not None:
        yield found.other.run_id
    own = distinct(run, found.lines, suites)
    match rule:
        case Regression():
            lines = own[-rule.m :]
        case Erosion():
            lines = own[-(rule.recent - 1 + rule.m * rule.windows) :]
        case Budget():
            lines = [*found.lines[-rule.m :], *own[-rule.m :]]
        case Relative() | MaxDrop() if rule.significant:
            lines = list(found.lines[-1:])
        case BestRatio() if rule.significant and found.lines:
            lines = [max(found.lines, key=lambda line: line.scores[suites[0]].score)]
        case _:
            lines = []
    yield from (line.run_id for line in lines)


def suites_of(rule: AnyRule, line: HistoryLine, config: Config) -> list[tuple[str, ...]]:
    """Return what a rule looks at, a group of suites for each of its tests.

    Its own suite, the headline, each one measured, or all of them as one.
    """
    if isinstance(rule, Regression) and rule.pooled:
        return [tuple(line.scores)]
    if rule.suite == EVERY:
        return [(suite,) for suite in line.scores]
    return [(rule.suite or config.headline,)]


def shares_of_alpha(config: Config, line: HistoryLine) -> list[float]:
    """Return the level of each rule's test on each of its suites, in the order of the rules.

    Together the blocking tests of a commit spend the policy's alpha, so one that changed nothing is rejected no more
    often, however many rules and suites there are: what rules name as their own alpha is theirs, the others share the
    rest. Rules that do not block spend nothing of it. Source: Bonferroni; `_stepped_down` is Holm's next step.
    Of several tiers each spends its part of that alpha.
    """
    config = config.of_tier(line.tier)
    rules = config.gate.rules
    counts = [max(1, len(suites_of(rule, line, config))) for rule in rules]
    own = sum(own_alpha(rule) or 0.0 for rule in rules if spends_alpha(rule))
    sharing = sum(
        count for rule, count in zip(rules, counts, strict=True) if spends_alpha(rule) and own_alpha(rule) is None
    )
    rest = max(0.0, config.gate.alpha - own) / max(1, sharing)
    levels = []
    for rule, count in zip(rules, counts, strict=True):
        named = own_alpha(rule)
        if named is not None:
            levels.append(named / count)
        else:
            levels.append(rest if spends_alpha(rule) else config.gate.alpha)
    return levels


def _word(results: Sequence[RuleResult]) -> VerdictWord:
    if any(_rejects(result) for result in results):
        return "rejected"
    open_ = any(result.outcome == "inconclusive" and result.effect == "block" for result in results)
    return "inconclusive" if open_ else "kept"


def _rejects(result: RuleResult) -> bool:
    return result.outcome == "fail" and result.effect == "block"

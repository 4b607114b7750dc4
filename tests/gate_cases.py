"""Runs for tests of the gate: records with given counts by problem, and their lines of history."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.config import AnyRule, Config, GateConfig, ModelConfig, SuiteConfig
from publisher.files import sha256_hex
from publisher.gate.baseline import Measured
from publisher.gate.policy import decide, needed
from publisher.ledger.history import summarize
from publisher.schema import Counts, Interval, RuleResult, Verdict
from publisher.stats import estimate
from tests.made import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.schema import Record, VerdictWord

CONDITIONS = {"sampling": '{"temperature":0.7}', "engine": '"llama.cpp 1"'}


def made_record(number: int, right: Sequence[int], k: int, **changes: Any) -> Record:
    """Return the record of run `number`, whose problem i has `right[i]` right answers of `k`."""
    ids = [str(place) for place in range(len(right))]
    found = estimate(list(right), [k] * len(right))
    base = record(started=f"202611{number // 24 + 1:02d}T{number % 24:02d}0000Z")
    result = msgspec.structs.replace(
        base.results[0],
        score=found.score,
        stderr=found.stderr,
        stderr_sampling=found.stderr_sampling,
        interval=Interval(low=found.low, high=found.high),
        counts=Counts(right=sum(right), wrong=k * len(right) - sum(right)),
        right_by_problem=dict(zip(ids, right, strict=True)),
        scored_by_problem=dict.fromkeys(ids, k),
        tokens_by_problem=dict.fromkeys(ids, (20 * k, 20 * 20 * k + k)),
    )
    given = {
        "results": [msgspec.structs.replace(result, **changes.pop("result", {}))],
        "suites": [msgspec.structs.replace(base.suites[0], problems=len(right), samples=k)],
        "sampling": msgspec.structs.replace(base.sampling, temperature=changes.pop("temperature", 0.7)),
        "generation": sha256_hex(str(number).encode()),
        "fingerprint": sha256_hex(f"fingerprint {number}".encode()),
        "conditions": CONDITIONS,
    }
    return msgspec.structs.replace(base, **{**given, **changes})


def run_of(number: int, right: Sequence[int], k: int, verdict: VerdictWord = "kept", **changes: Any) -> Measured:
    """Return run `number` as the gate and the history see it."""
    decision = changes.pop("decision", None)
    made = made_record(number, right, k, **changes)
    line = msgspec.structs.replace(summarize(made), verdict=verdict, decision=decision)
    return Measured(line, made)


def drawn(rates: Sequence[float], k: int, draw: random.Random) -> list[int]:
    """Return how many of `k` samples of each problem are right, at random."""
    return [sum(draw.random() < rate for _ in range(k)) for rate in rates]


def policy(*rules: AnyRule, samples: int = 16, **gate: Any) -> Config:
    """Return a configuration with these rules and a suite `s`."""
    return Config(
        model=ModelConfig(name="m", source="builtin:abacus"),
        suites={"s": SuiteConfig(source="s.jsonl", samples=samples)},
        gate=GateConfig(rules=list(rules), **gate),
    )


def verdict_on(run: Measured, history: Sequence[Measured], config: Config) -> Verdict:
    """Return the gate's verdict, with no other records at hand than those it asked for."""
    lines = [one.line for one in history]
    wanted = set(needed(run, lines, config))
    records = {one.line.run_id: one.record for one in history if one.line.run_id in wanted}
    return decide(run, lines, config, records=records, decided="now")


def result_on(run: Measured, history: Sequence[Measured], rule: AnyRule) -> RuleResult:
    """Return what one rule says."""
    return verdict_on(run, history, policy(rule)).rules[0]


RATES = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0, 0.0] * 3


def kept(count: int, k: int = 16, *, seed: int = 1, rates: list[float] = RATES) -> list[Measured]:
    """Return a history of kept runs of the same rates."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated, no secret
    return [run_of(number, drawn(rates, k, draw), k) for number in range(1, count + 1)]


def lower(rates: list[float], by: float) -> list[float]:
    """Return rates whose mean is lower by about `by`, taken where there is something to lose."""
    middle = [rate for rate in rates if 0.2 < rate < 0.98]
    share = by * len(rates) / len(middle)
    return [max(0.0, rate - share) if 0.2 < rate < 0.98 else rate for rate in rates]

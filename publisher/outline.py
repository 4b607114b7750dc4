"""A record in outline: its settings in words, its outcomes by problem, and the figures beside its scores."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import msgspec

from publisher.schema import Outline, Outlines, SuiteOutline
from publisher.schema.outline import LARGEST_OUTLINES, MOST_OUTLINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.schema import HistoryLine, MachineIdentity, ModelIdentity, Part, Record, Sampling, SuiteResult

MOST_SAMPLES = 1 << 20
"""Samples of one problem that a record may claim."""
LONGEST = 4_000
"""Characters of a prompt that are compared. A longer one is cut, and its digest still tells."""
LONGEST_SETTING = 300
"""Characters of any other setting that are shown."""
LONGEST_NAME = 120
MOST_SLICES = 60
_TOLD = frozenset({"context", "engine", "gpu_layers", "mode", "sampling"})
"""The conditions that fields of the record tell in better words."""
_QUANTILES = (("shortest tenth", 0.1), ("median", 0.5), ("longest tenth", 0.9))


def settings(record: Record) -> dict[Part, dict[str, object]]:
    """Return the settings of a run by name, part by part, in the order in which they decide a score."""
    return {
        "model": _model(record.model),
        "prompt": {"system": record.prompt.system, "template": record.prompt.template},
        "sampling": _sampling(record.sampling),
        "suite": {name: value for suite in record.suites for name, value in suite_settings(record, suite.name).items()},
        "engine": _engine(record),
        "machine": _machine(record.machine),
    }


def _model(model: ModelIdentity) -> dict[str, object]:
    return {
        "name": model.name,
        "source": model.source,
        "quantization": model.quantization,
        "parameters": model.parameters,
        "size": model.size,
        "sha256": model.sha256,
        "chat template": model.chat_template_sha256,
    }


def _sampling(sampling: Sampling) -> dict[str, object]:
    return {
        "temperature": f"{sampling.temperature:g}",
        "top p": f"{sampling.top_p:g}",
        "top k": sampling.top_k,
        "min p": f"{sampling.min_p:g}",
        "most tokens": sampling.max_tokens,
        "repetition penalty": f"{sampling.repetition_penalty:g}",
        "frequency penalty": f"{sampling.frequency_penalty:g}",
        "presence penalty": f"{sampling.presence_penalty:g}",
        "penalties look back": sampling.penalty_window,
    }


def suite_settings(record: Record, name: str) -> dict[str, object]:
    """Return what a suite was, by names that begin with its own; empty where the run did not measure it."""
    return {
        f"{suite.name}: {what}": value
        for suite in record.suites
        if suite.name == name
        for what, value in (
            ("problems", suite.problems),
            ("samples per problem", suite.samples),
            ("sha256", suite.sha256),
            ("grader", f"{suite.grader} {suite.grader_version}"),
        )
    }


def _engine(record: Record) -> dict[str, object]:
    engine = record.engine
    return {
        "engine": f"{engine.name} {engine.version}",
        "build": engine.build,
        "backend": " · ".join(dict.fromkeys([engine.backend, *engine.devices])),
        "GPU layers": f"{engine.gpu_layers_offloaded} of {engine.offloadable}",
        "GPU offload that is missing": engine.offload_missing or "none",
        "mode": engine.mode,
        "context": engine.context,
        "options": ", ".join(f"{name}={value}" for name, value in sorted(engine.options.items())),
    } | {name: value for name, value in sorted(record.conditions.items()) if name not in _TOLD}


def _machine(machine: MachineIdentity) -> dict[str, object]:
    return {
        "processor": machine.cpu,
        "cores": machine.cores,
        "GPU": machine.gpu or "none",
        "system": machine.system,
        "Python": machine.python,
        "publisher": machine.publisher,
    }


def counts(record: Record, result: SuiteResult) -> dict[str, tuple[int, int]] | None:
    """Return how many samples of each problem are right, and of how many; None where the record does not tell.

    A record is somebody else's file: counts that cannot be are no evidence.
    """
    if result.counts.error and not result.scored_by_problem:
        return None
    scored = result.scored_by_problem
    if not scored:
        k = next((part.samples for part in record.suites if part.name == result.suite), 0)
        scored = dict.fromkeys(result.right_by_problem, k)
    found = {problem: (right, scored.get(problem, 0)) for problem, right in result.right_by_problem.items()}
    return found if all(0 <= right <= drawn <= MOST_SAMPLES for right, drawn in found.values()) else None


class _Shelf:
    """Outlines that share the names of problems and settings, as many as fit."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.problems: dict[str, dict[str, int]] = {}
        self.settings: dict[tuple[Part, str, str], int] = {}
        self.size = 200

    def add(self, line: HistoryLine, record: Record) -> Outline | None:
        """Return a run in outline; None where it, with the names that it is the first to use, does not fit."""
        asked = [
            (part, name[:LONGEST_NAME], _cut(str(value), LONGEST if part == "prompt" else LONGEST_SETTING))
            for part, values in settings(record).items()
            for name, value in values.items()
        ]
        told = {result.suite: counts(record, result) or {} for result in record.results if result.suite in line.scores}
        known, places = dict(self.settings), {version: dict(ids) for version, ids in self.problems.items()}
        for setting in asked:
            known.setdefault(setting, len(known))
        for suite, found in told.items():
            ids = places.setdefault(line.scores[suite].suite, {})
            for problem in found:
                ids.setdefault(problem, len(ids))
        made = _outline(line, record, [known[setting] for setting in asked], told, places)
        fresh: list[object] = [*list(known)[len(self.settings) :]]
        fresh += [one for version, ids in places.items() for one in list(ids)[len(self.problems.get(version, ())) :]]
        size = self.size + sum(len(msgspec.json.encode(part)) + 1 for part in (made, *fresh))
        if size > LARGEST_OUTLINES:
            return None
        self.problems, self.settings, self.size = places, known, size
        return made


def _cut(value: str, most: int) -> str:
    """Return a setting's value; a longer one is cut, with a digest of the whole so that two stay apart."""
    return (
        value
        if len(value) <= most
        else f"{value[:most]}… ({hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:8]})"
    )


def _outline(
    line: HistoryLine,
    record: Record,
    chosen: list[int],
    told: Mapping[str, Mapping[str, tuple[int, int]]],
    places: Mapping[str, Mapping[str, int]],
) -> Outline:
    gone = line.pruned or line.taken_down or line.given_up
    results = {result.suite: result for result in record.results}
    return Outline(
        run_id=line.run_id,
        commit=line.commit,
        subject=line.subject[:LONGEST_NAME],
        started=line.started,
        tier=line.tier,
        snapshot=line.snapshot,
        address="" if gone else line.address,
        greedy=record.sampling.temperature == 0,
        settings=chosen,
        suites={
            suite: _suite(results[suite], line.scores[suite].suite, found, places[line.scores[suite].suite])
            for suite, found in told.items()
        },
    )


def _suite(
    result: SuiteResult, version: str, told: Mapping[str, tuple[int, int]], places: Mapping[str, int]
) -> SuiteOutline:
    right, drawn = [0] * len(places) if told else [], [0] * len(places)
    for problem, (hits, of) in told.items():
        right[places[problem]], drawn[places[problem]] = hits, of
    return SuiteOutline(
        version=version,
        score=round(result.score, 4),
        stderr=round(result.stderr, 4),
        right=right,
        drawn=drawn[0] if len(set(drawn)) == 1 else drawn if told else 0,
        kinds={name[:LONGEST_NAME]: round(value, 2) for name, value in list(kinds(result).items())[:MOST_SLICES]},
        figures={name: float(f"{value:.5g}") for name, value in figures(result).items() if math.isfinite(value)},
    )


def kinds(result: SuiteResult) -> dict[str, float]:
    """Return the scores by kind, and then by tag and value."""
    return dict(sorted(result.kinds.items())) | slices(result)


def slices(result: SuiteResult) -> dict[str, float]:
    """Return the scores by tag and value."""
    return {
        f"{tag}: {value}": one.score for tag, values in sorted(result.slices.items()) for value, one in values.items()
    }


def figures(result: SuiteResult) -> dict[str, float]:
    """Return the figures beside a score by name, each with its unit: shares, tokens, how lengths spread, latency."""
    scored = result.counts.scored
    found = {
        "tokens": float(result.tokens),
        "tokens per second": result.tokens_per_second,
        "latency, median, s": result.latency.p50,
        "latency, 90th percentile, s": result.latency.p90,
        "latency, 99th percentile, s": result.latency.p99,
    }
    if scored:
        shares = {
            "unanswered, %": 100 * result.counts.unanswered / scored,
            "out of tokens, %": 100 * result.counts.truncated / scored,
            "tokens per answer": result.tokens / scored,
        }
        found = shares | found
    return found | _lengths(result)


def _lengths(result: SuiteResult) -> dict[str, float]:
    """Return how the lengths of answers spread over the problems, from each problem's mean."""
    means = [
        total / drawn
        for problem, (total, _) in result.tokens_by_problem.items()
        if (drawn := result.scored_by_problem.get(problem, 0)) > 0
    ]
    return {f"length, {name} of problems, tokens": _quantile(means, share) for name, share in _QUANTILES if means}


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies (the nearest rank)."""
    known = sorted(values)
    return known[min(len(known) - 1, int(share * len(known)))]


def outlines(runs: Iterable[tuple[HistoryLine, Record]]) -> Outlines:
    """Return runs in outline, in their order.

    As many are taken as fit into LARGEST_OUTLINES bytes, MOST_OUTLINES at most; what follows them is not asked for.
    """
    shelf = _Shelf()
    found: list[Outline] = []
    for line, record in runs:
        made = shelf.add(line, record)
        if made is None:
            break
        found.append(made)
        if len(found) == MOST_OUTLINES:
            break
    problems = {version: list(ids) for version, ids in shelf.problems.items()}
    return Outlines(problems=problems, settings=list(shelf.settings), runs=found)

"""Snapshot trees for the site's tests: a believable history, two suites, and strangers' text on request."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from publisher import schema, shards, stats
from publisher.files import canonical_json
from publisher.render import Source
from publisher.samples import pack_samples
from publisher.schema import HistoryLine, HistoryScore, Record, Sample, Verdict
from tests import made

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "https://word-problems.netlify.app"
HOSTILE = "<script>alert(1)</script>\"'&</pre>\x1b[31m\u202egnp.exe\u200b{{ 7*7 }}"
CONFIG = b"""
[model]
name = "Abacus-2M"
source = "builtin:abacus"
[suites.words]
source = "suites/words.jsonl"
public = true
[suites.hard]
source = "suites/hard.jsonl"
samples = 8
[gate]
headline = "words"
rules = [{ rule = "threshold", suite = "words", min = 60.0 }, { rule = "max-drop", points = 3.0 }]
"""
SUBJECTS = (
    "Use the early checkpoint",
    "Quantize to Q8_0",
    "Ask for the answer in a box",
    "Try Q2_K to save memory",
    "Sample at temperature 0.6",
    "Take the middle checkpoint",
    "Shorten the system prompt",
    "Raise the token limit",
    "Rename the prompt file",
    "Try temperature 1.5",
    "Take the final checkpoint",
    "Go back to greedy decoding",
)
_SCRIPT = "<img src=x onerror=alert(1)>"
_FORMULAS = (
    r"\text{%s}",
    r"\href{javascript:alert(1)}{x}",
    r"\url{javascript:alert(1)}",
    r"\includegraphics{https://evil.example/x.png}",
    r"\htmlStyle{background:url(https://evil.example/)}{x}",
    r"\htmlData{onclick=alert(1)}{x}",
    r"\class{x' onclick='alert(1)}{x}",
    r"\style{background:url(https://evil.example/)}{x}",
    r"\color{red;background:url(https://evil.example/)}x",
    r"\def\a{\a\a}\a",
    r"\edef\a{xx}\edef\a{\a\a}\edef\a{\a\a}\a",
    r"\newcommand{\a}[1]{#1#1}\a{\a{x}}",
    r"\hspace{9999em}x\rule{9999em}{9999em}",
    r"\kern-9999em %s",
    r"\mathrm{%s}",
    r"\operatorname{%s}",
    r"\unicode{x202e}\char`\^^^^202e",
    r"\begin{array}{c@{%s}c}1&2\end{array}",
    r"\tag{%s}x",
    r"\text{</math></mtext><script>alert(1)</script>}",
    r"\text{<annotation-xml encoding='text/html'>%s}",
    r"\boxed{\text{</span></code>%s}}",
    "{" * 700 + "x" + "}" * 700,
    r"\frac" * 300,
    r"\sqrt{" * 200,
    r"\left(" * 200,
    "^" * 900,
    "&" * 900,
    r"\begin{aligned}" * 60,
)
_MARKDOWN = (
    "[x](javascript:alert(1))",
    "[x](<javascript:alert(1)> 'onmouseover=alert(1)')",
    "![x](https://evil.example/x.png)",
    '![x](x" onerror="alert(1))',
    "<javascript:alert(1)>",
    "<https://evil.example>",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "&#x202e;&lt;script&gt;alert(1)&lt;/script&gt;",
    '```"onload=alert(1) <script>\n</code></pre><script>alert(1)</script>\n```',
    "`<script>alert(1)</script>`",
    "| a |\n|:-:|\n| <svg onload=alert(1)> |",
    "# <h1 onclick=alert(1)>title\n===",
    "1000000000. x\n2. <iframe src=javascript:alert(1)>",
    "> " * 400 + "x",
    "- " * 400 + "x",
    "*" * 900 + "x" + "_" * 900,
    "[" * 900,
    "<" * 900,
    "`" * 901 + "x",
    "<style>*{display:none}</style><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "</div></details></article><base href=https://evil.example/><form action=javascript:alert(1)>",
)
PAYLOADS = (
    *(f"${one.replace('%s', _SCRIPT)}$" for one in _FORMULAS),
    *(f"\\[{one.replace('%s', _SCRIPT)}\\]" for one in _FORMULAS),
    *_MARKDOWN,
)
"""Formulas and Markdown that would do something on a page that trusted them."""
KINDS = ("add", "subtract", "two-step", "multiply")


def chance(*parts: object) -> float:
    """Return a number from 0 to 1 that depends on nothing but `parts`."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big") / 2**48


def payload(number: int) -> str:
    """Return one of the hostile formulas and Markdown texts."""
    return PAYLOADS[number % len(PAYLOADS)]


def sha(*parts: object) -> str:
    """Return a commit hash made up from `parts`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


BRANCH = f"snapshot-{sha('this')[:12]}"
"""The branch of the snapshot that the trees show."""


def sample(suite: str, problem: int, number: int, ability: float, *, public: bool) -> Sample:
    """Return one invented answer to an invented word problem."""
    first, second = 12 + problem * 7 % 83, 5 + problem * 11 % 61
    total = first + second
    luck = chance(suite, problem, number)
    outcome: schema.Outcome = "right" if luck < ability else "wrong"
    if luck > 0.97:
        outcome = "unanswered" if luck < 0.985 else "truncated"
    said = total if outcome == "right" else total + 1 + problem % 9
    text = (
        f"Mia starts with {first} shells.\nShe finds {second} more, so we add.\n{first} + {second} = {said}\n"
        f"The answer is \\boxed{{{said}}}."
    )
    long = "".join(
        f"Step {step}: let x_{step} = {first} + {step * second}, which we reduce modulo {step + 7}.\n"
        for step in range(40)
    )
    asked = f"Mia has {first} shells. She finds {second} more on the beach. How many shells has she now?"
    return Sample(
        suite=suite,
        problem=f"{suite}-{problem:04d}",
        sample=number,
        seed=int(luck * 2**31),
        outcome=outcome,
        answer=str(said) if outcome in {"right", "wrong"} else "",
        prompt_tokens=64,
        finish="length" if outcome == "truncated" else "stop",
        tokens=len(text) // 3,
        latency=0.2 + luck,
        text=long + text if suite == "hard" else text,
        kind=KINDS[problem % 4],
        statement=asked if public else "",
        expected=str(total) if public else "",
    )


def result(suite: str, samples: list[Sample]) -> dict[str, Any]:
    """Return a suite's result, computed from its samples."""
    problems: dict[str, list[Sample]] = {}
    for item in samples:
        problems.setdefault(item.problem, []).append(item)
    right = {name: sum(item.outcome == "right" for item in items) for name, items in problems.items()}
    draws = [len(items) for items in problems.values()]
    found = stats.estimate(list(right.values()), draws)
    kinds = {kind: [item.outcome == "right" for item in samples if item.kind == kind] for kind in KINDS}
    return {
        "suite": suite,
        "score": found.score,
        "stderr": found.stderr,
        "stderr_sampling": found.stderr_sampling,
        "interval": {"low": found.low, "high": found.high},
        "direction": "higher",
        "pass_at": {str(k): stats.pass_at(list(right.values()), draws, k) for k in (1, 4, 8) if k <= min(draws)},
        "kinds": {kind: 100 * sum(hits) / len(hits) for kind, hits in kinds.items() if hits},
        "counts": {
            word: sum(item.outcome == word for item in samples)
            for word in ("right", "wrong", "unanswered", "truncated", "error")
        },
        "right_by_problem": right,
        "prompt_tokens": 64 * len(samples),
        "tokens": sum(item.tokens for item in samples),
        "latency": {"p50": 0.41, "p90": 0.93, "p99": 1.4},
        "tokens_per_second": 1240.0,
    }


def history_line(number: int, runs: int) -> HistoryLine:
    """Return the `number`-th of `runs` invented runs: slowly better, some rejected, one undecided."""
    commit, growth = sha("commit", number), number / max(1, runs - 1)
    score = 34 + 44 * growth**0.7 + 6 * (chance("wobble", number) - 0.5)
    verdict: schema.VerdictWord = "rejected" if number % 5 == 3 else "inconclusive" if number == 7 else "kept"
    if verdict == "rejected":
        score -= 9 + 8 * chance("drop", number)
    low, high = stats.wilson(score / 100, 120)
    when = datetime(2026, 11, 20, 8 + number % 11, 11, 33, tzinfo=UTC) - timedelta(2 * (runs - number))
    day = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    name = f"snapshot-{commit[:12]}"
    change = score - (34 + 44 * growth**0.7)
    words = HistoryScore(
        score=score,
        low=100 * low,
        high=100 * high,
        stderr=(high - low) * 25,
        n=120,
        k=1,
        suite="d" * 64,
        tokens=180 + 60 * chance("tokens", number) - 40 * growth,
        latency=0.3 + 0.2 * chance("latency", number),
        moved=(change, change - 6, change + 6) if abs(change) > 8 else None,
    )
    return HistoryLine(
        run_id=f"{day.replace('-', '').replace(':', '')}-{commit[:12]}-full",
        commit=commit,
        tier="full",
        started=day,
        subject=SUBJECTS[number % len(SUBJECTS)],
        verdict=verdict,
        fingerprint=sha("print", number),
        scores={"words": words, "hard": msgspec.structs.replace(words, score=score * 0.6, suite="e" * 64)},
        model=sha("model", number // 9)[:12],
        why=f"words scored {score:.1f}, over 3.0 points below the previous kept run" if verdict == "rejected" else "",
        snapshot=name if verdict == "kept" else "",
        address=f"https://{name}--word-problems.netlify.app" if verdict == "kept" else "",
    )


def record(samples: list[Sample], *, hostile: bool = False) -> Record:
    """Return the record of the run that the tree shows."""
    commit = sha("this")
    base = msgspec.to_builtins(made.record(commit))
    suites = [
        {
            **base["suites"][0],
            "name": "words",
            "sha256": "d" * 64,
            "problems": 120,
            "public": True,
            "source": "suites/words.jsonl",
        },
        {**base["suites"][0], "name": "hard", "sha256": "e" * 64, "problems": 24, "samples": 8, "public": False},
    ]
    named = {"subject": "Take the final checkpoint at Q8_0", "author": "Ada Example"}
    value = base | {
        "run_id": f"20261120T201133Z-{commit[:12]}-full",
        "commit": base["commit"] | named,
        "model": base["model"] | {"name": "Abacus-2M", "source": "builtin:abacus/final-q8_0"},
        "suites": suites,
        "machine": base["machine"] | {"cpu": "AMD EPYC 9654", "gpu": "NVIDIA H200"},
        "results": [result(name, [item for item in samples if item.suite == name]) for name in ("words", "hard")],
    }
    if hostile:
        value["commit"] |= {"subject": HOSTILE, "author": HOSTILE}
        value["model"] |= {"name": HOSTILE, "source": HOSTILE}
    return msgspec.convert(value, Record)


def snapshot_tree(folder: Path, *, runs: int = 24, problems: int = 120, hostile: bool = False) -> Path:
    """Write the tree of a snapshot commit into `folder` and return it."""
    samples = [sample("words", number, 0, 0.79, public=True) for number in range(problems)]
    samples += [
        sample("hard", number, k, chance("ability", number), public=False) for number in range(24) for k in range(8)
    ]
    if hostile:
        samples = [
            msgspec.structs.replace(
                item,
                text=HOSTILE + "\n\n" + payload(int(item.problem[-4:])) + "\n\n" + item.text,
                statement=item.statement + payload(int(item.problem[-4:]) + 7),
                answer=HOSTILE,
                kind=HOSTILE,
                reason=HOSTILE,
                problem=f"{HOSTILE}{item.problem}",
            )
            for item in samples
        ]
    shown = record(samples, hostile=hostile)
    lines = [history_line(number, runs) for number in range(runs)]
    if runs > 5:
        lines[4] = HistoryLine(
            run_id=lines[4].run_id,
            commit=lines[4].commit[:12],
            subject="",
            tier="full",
            started="20260909T120000Z",
            verdict="unreadable",
            fingerprint="",
            scores={},
            why="record.json is not readable: unexpected end",
        )
    lines.append(own_line(shown))
    if hostile:
        lines[0] = msgspec.structs.replace(lines[0], subject=HOSTILE, why=HOSTILE, address="javascript:alert(1)")
    write_history(folder, schema.History(site=MAIN, headline="words", lines=lines))
    files = {
        "publisher.toml": CONFIG,
        "ledger/record.json": canonical_json(shown),
        "ledger/verdict.json": canonical_json(verdict(shown)),
        "ledger/samples.jsonl.gz": pack_samples(samples),
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def history_of(folder: Path) -> schema.History:
    """Return the history of a tree."""
    ledger = folder / "ledger"
    return shards.join((ledger / "history.json").read_bytes(), lambda path: (ledger / path).read_bytes())[0]


def write_history(folder: Path, history: schema.History) -> None:
    """Give a tree a history, as a snapshot stores it."""
    for name, data in shards.split(history).items():
        path = folder / "ledger" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def own_line(shown: Record) -> HistoryLine:
    """Return the shown run's own line of history."""
    name = f"snapshot-{shown.commit.sha[:12]}"
    scores = {
        item.suite: HistoryScore(
            score=item.score,
            low=item.interval.low,
            high=item.interval.high,
            stderr=item.stderr,
            n=suite.problems,
            k=suite.samples,
            suite=suite.sha256,
            tokens=172.0,
            latency=item.latency.p50,
        )
        for item, suite in zip(shown.results, shown.suites, strict=True)
    }
    return HistoryLine(
        run_id=shown.run_id,
        commit=shown.commit.sha,
        subject=shown.commit.subject,
        tier="full",
        started=shown.started,
        verdict="kept",
        fingerprint=shown.fingerprint,
        scores=scores,
        snapshot=name,
        address=f"https://{name}--word-problems.netlify.app",
    )


def source(tree: Path, **more: Any) -> Source:
    """Return what to render of a tree."""
    given: dict[str, Any] = {"tree": tree, "address": MAIN, "branch": BRANCH, "commit": "a" * 40}
    return Source(**(given | more))


def verdict(shown: Record) -> Verdict:
    """Return the verdict that kept the run."""
    score = shown.results[0].score
    rules = [
        {
            "rule": "threshold",
            "suite": "words",
            "outcome": "pass",
            "measured": score,
            "limit": 60.0,
            "reason": f"words scored {score:.1f} ± {shown.results[0].stderr:.1f}; at least 60.0 is asked for",
        },
        {
            "rule": "max-drop",
            "suite": "words",
            "outcome": "pass",
            "measured": score,
            "limit": 74.2,
            "reason": f"words scored {score:.1f}; at most 3.0 below the previous kept 77.2 is allowed",
        },
    ]
    value = {
        "run_id": shown.run_id,
        "verdict": "kept",
        "headline": "words",
        "policy_sha256": "2" * 64,
        "decided": "2026-11-20T20:12:34Z",
        "rules": rules,
    }
    return msgspec.convert(value, Verdict)

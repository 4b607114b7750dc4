"""What stands beside the snapshot of a tree: a report, the answers of the run before, rejected runs, a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher import schema
from publisher.config import parse
from publisher.files import canonical_json
from publisher.gate.baseline import Measured
from publisher.gate.report import report
from publisher.ledger.lessons import since_kept
from publisher.samples import answer_lengths, pack_samples, unpack_samples
from publisher.schema import Record, Sample, Verdict

if TYPE_CHECKING:
    from pathlib import Path
from tests.trees import CONFIG, history_of, own_line, result, write_history


def add_report(folder: Path) -> Path:
    """Add what stands beside the snapshot of a tree: its report, and the answers of the previous kept run."""
    ledger = folder / "ledger"
    shown, decided = (
        schema.decode((ledger / name).read_bytes(), kind, name)
        for name, kind in (("record.json", Record), ("verdict.json", Verdict))
    )
    assert isinstance(shown, Record)
    assert isinstance(decided, Verdict)
    history = history_of(folder)
    old = [older(sample) for sample in unpack_samples((ledger / "samples.jsonl.gz").read_bytes())]
    line = [line for line in history.lines[:-1] if line.verdict == "kept"][-1]
    # Made from the samples that they stand for, so that scores and counts fit.
    results = [result(suite.name, [one for one in old if one.suite == suite.name]) for suite in shown.suites]
    before = msgspec.convert(
        msgspec.to_builtins(shown)
        | {
            "run_id": line.run_id,
            "results": results,
            "started": line.started,
            "commit": msgspec.to_builtins(shown.commit) | {"sha": line.commit, "subject": line.subject},
            "model": msgspec.to_builtins(shown.model) | {"quantization": "Q2_K", "sha256": "7" * 64},
            "prompt": msgspec.to_builtins(shown.prompt) | {"system": "You are a helpful assistant. Be brief."},
        },
        Record,
    )
    scores = own_line(before).scores
    line = msgspec.structs.replace(line, scores=scores)
    own = history.lines[-1]
    config = parse(CONFIG, "publisher.toml")
    found = report(
        Measured(own, shown),
        [line],
        config,
        decided,
        records={line.run_id: before},
        lengths=lambda run_id: answer_lengths(pack_samples(old)) if run_id == line.run_id else {},
    )
    place = ledger / "compared" / line.run_id
    place.mkdir(parents=True)
    (place / "samples.jsonl.gz").write_bytes(pack_samples(old))
    (ledger / "report.json").write_bytes(canonical_json(found))
    return folder


def add_lessons(folder: Path) -> Path:
    """Add what the rejected runs since the last kept one teach, and a rollback, to a tree that has a report."""
    ledger = folder / "ledger"
    found = schema.decode((ledger / "report.json").read_bytes(), schema.Report, "report.json")
    history = history_of(folder)
    wrong = [
        item
        for item in unpack_samples((ledger / "samples.jsonl.gz").read_bytes())
        if item.outcome != "right" and item.suite == "words"
    ]
    for line in since_kept(history.lines, history.lines[-1].run_id):
        lesson = schema.Lesson(
            run=msgspec.structs.replace(
                found.run, run_id=line.run_id, commit=line.commit, subject=line.subject, started=line.started
            ),
            verdict=msgspec.structs.replace(
                found.verdict,
                run_id=line.run_id,
                verdict="rejected",
                rules=[msgspec.structs.replace(found.verdict.rules[1], outcome="fail", reason=line.why)],
            ),
            scores=line.scores,
            baseline=found.previous.suites if found.previous else [],
            beside=found.previous.base if found.previous else None,
            changes=found.previous.changes if found.previous else [],
            wrong=wrong[:12],
            wrong_more=max(0, len(wrong) - 12),
        )
        path = ledger / f"lessons/{line.run_id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(canonical_json(lesson))
    kept = [line for line in history.lines if line.verdict == "kept"]
    back = schema.Rollback(
        run_id=kept[-5].run_id,
        previous=kept[-3].run_id,
        time="2026-11-10T09:00:00Z",
        who="Ada Example",
        why="Answers were too terse",
    )
    write_history(folder, msgspec.structs.replace(history, rollbacks=[back]))
    return folder


def older(item: Sample) -> Sample:
    """Return an answer as the run before gave it: every seventh problem the other way round, and some words else."""
    turned = int(item.problem[-4:]) % 7 == 3
    outcome: schema.Outcome = item.outcome
    if turned and item.outcome in {"right", "wrong"}:
        outcome = "wrong" if item.outcome == "right" else "right"
    said = item.text.replace("so we add", "which makes more").replace("Mia starts", "She starts")
    return msgspec.structs.replace(item, outcome=outcome, text=said if turned else item.text, tokens=item.tokens + 3)

"""Runs in outline for the site's tests: older runs of the tree's own, each with other answers and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher import schema
from publisher.ledger.outlines import packed
from publisher.samples import unpack_samples
from publisher.schema import Record
from tests.trees import HOSTILE, chance, history_of, result

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import HistoryLine, Sample


def add_outlines(folder: Path, *, hostile: bool = False) -> Path:
    """Add the outlines of a tree's run and of the kept runs before it, made up so that they fit the history."""
    ledger = folder / "ledger"
    own = schema.decode((ledger / "record.json").read_bytes(), Record, "record.json")
    history = history_of(folder)
    samples = list(unpack_samples((ledger / "samples.jsonl.gz").read_bytes()))

    def read(line: HistoryLine) -> Record:
        return older_record(own, line, samples, hostile=hostile)

    for name, data in packed(own, history.lines, "words", read).items():
        (ledger / name).write_bytes(data)
    return folder


def older_record(own: Record, line: HistoryLine, samples: list[Sample], *, hostile: bool = False) -> Record:
    """Return what a run of the history may have recorded: some problems turned, and a prompt of its own."""
    then = [_then(sample, line.run_id) for sample in samples]
    results = [result(suite.name, [one for one in then if one.suite == suite.name]) for suite in own.suites]
    template = (
        HOSTILE if hostile else f"{own.prompt.template} Think for {len(line.run_id) % 7} steps, {line.commit[:4]}."
    )
    return msgspec.structs.replace(
        own,
        run_id=line.run_id,
        commit=msgspec.structs.replace(own.commit, sha=line.commit, subject=line.subject),
        prompt=msgspec.structs.replace(own.prompt, template=template),
        model=msgspec.structs.replace(own.model, quantization="Q2_K", sha256=line.fingerprint.ljust(64, "0")),
        results=msgspec.convert(results, list[schema.SuiteResult]),
    )


def _then(sample: Sample, run: str) -> Sample:
    turns = chance(run, sample.suite, sample.problem) < 0.2 and sample.outcome in {"right", "wrong"}
    outcome: schema.Outcome = "wrong" if sample.outcome == "right" else "right"
    return msgspec.structs.replace(sample, outcome=outcome if turns else sample.outcome, tokens=sample.tokens + 5)

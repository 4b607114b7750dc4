"""Every answer of the public suites, one line of JSON each, in the instance-level schema of Every Eval Ever."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from publisher.files import compact_json, sha256_hex
from publisher.render import text

if TYPE_CHECKING:
    from publisher.render.gather import Snapshot
    from publisher.schema import Sample

FILE = "every_eval_ever_samples.jsonl"
SCHEMA = "0.3.0"
LARGEST = 10_000_000
"""Bytes of the file; answers that would not fit are left out, and the aggregate says how many."""
LONGEST, SHORTEST = 20_000, 200
"""Characters of each answer, from its end: where answers are few, and where they are many."""
_REST = 1_200
"""Bytes of a line beside its statement and its answer, about."""


@dataclass(frozen=True, slots=True)
class Instances:
    """The file, how many answers it has, and how many did not fit."""

    data: bytes
    rows: int
    left_out: int

    def reference(self, snapshot: Snapshot, folder: str) -> dict[str, Any]:
        """Return what the aggregate says of the file; `folder` is its place in the shared repository's `data/`."""
        # The repository wants a random name, and the same snapshot has to give the same bytes.
        name = uuid.UUID(snapshot.record_sha256[:32], version=4)
        return {
            "format": "jsonl",
            "file_path": f"data/{folder}/{name}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": sha256_hex(self.data),
            "total_rows": self.rows,
            "additional_details": {"address": f"{snapshot.pin}/{FILE}", "answers_left_out": str(self.left_out)},
        }


def instances(snapshot: Snapshot, evaluation: str, model: str) -> Instances:
    """Return the answers of public suites in their order, as far as they fit; nothing of a private suite.

    `evaluation` is the id of the aggregate that they belong to and `model` the name that it has there.
    """
    public = {suite.name: f"{suite.grader} {suite.grader_version}" for suite in snapshot.record.suites if suite.public}
    told = [sample for sample in snapshot.samples if sample.suite in public and not sample.withheld]
    each = LARGEST // max(1, len(told)) - _REST
    lines: list[bytes] = []
    size = 0
    for sample in told:
        limit = max(SHORTEST, min(LONGEST, each - len(sample.statement)))
        line = compact_json(
            {
                "schema_version": SCHEMA,
                "evaluation_id": evaluation,
                "evaluation_result_id": f"{snapshot.record.run_id}/{sample.suite}",
                "model_id": model,
                **_instance(sample, snapshot.texts.of(sample), text.line(public[sample.suite], 80), limit),
            }
        )
        if size + len(line) > LARGEST:
            break
        lines.append(line)
        size += len(line)
    return Instances(b"".join(lines), len(lines), len(told) - len(lines))


def _instance(sample: Sample, answer: str, grader: str, limit: int) -> dict[str, Any]:
    """Return one sample with the text of its `answer`, of it the last `limit` characters."""
    statement, expected = _encodable(sample.statement), _encodable(sample.expected)
    left_out = max(0, len(answer) - limit) + sample.clipped
    right = sample.outcome == "right"
    return {
        "evaluation_name": sample.suite,
        "sample_id": _encodable(sample.problem),
        "sample_hash": sha256_hex(f"{statement}{expected}".encode()),
        "interaction_type": "single_turn",
        "input": {"raw": statement, "reference": [expected]},
        "output": {"raw": [_encodable(answer[-limit:])]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": _encodable(sample.answer),
                "extraction_method": grader,
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(right), "is_correct": right},
        "token_usage": {
            "input_tokens": sample.prompt_tokens,
            "output_tokens": sample.tokens,
            "total_tokens": sample.prompt_tokens + sample.tokens,
        },
        "performance": {"latency_ms": round(1000 * sample.latency, 3)},
        "error": _encodable(sample.reason) or "error" if sample.outcome == "error" else None,
        "metadata": {
            "sample": str(sample.sample),
            "seed": str(sample.seed),
            "outcome": sample.outcome,
            "finish": sample.finish,
            "kind": _encodable(sample.kind),
            "characters_left_out_before": str(left_out),
        },
    }


def _encodable(value: str) -> str:
    """Return a stored text without what no UTF-8 can hold: a model's lone surrogate."""
    return value.encode("utf-8", "replace").decode()

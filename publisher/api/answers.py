"""The answers that a snapshot publishes for programs, as samples: the file in the schema of Every Eval Ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from publisher.errors import StorageError
from publisher.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "every_eval_ever_samples.jsonl"


class _Input(msgspec.Struct, frozen=True):
    raw: str
    reference: list[str]


class _Output(msgspec.Struct, frozen=True):
    raw: list[str]


class _Extracted(msgspec.Struct, frozen=True):
    extracted_value: str


class _Tokens(msgspec.Struct, frozen=True):
    input_tokens: int
    output_tokens: int


class _Performance(msgspec.Struct, frozen=True):
    latency_ms: float


class _Row(msgspec.Struct, frozen=True):
    """A line of the file, as far as a sample needs it."""

    evaluation_name: str
    sample_id: str
    input: _Input
    output: _Output
    answer_attribution: list[_Extracted]
    token_usage: _Tokens
    performance: _Performance
    metadata: dict[str, str]
    error: str | None = None


def samples(data: bytes, where: str) -> Iterator[Sample]:
    """Yield the samples of the file; StorageError, naming `where`, for a line that is none.

    A text may lack its beginning, which `clipped` counts. What the file does not tell is as in a sample without it:
    times beside the latency, measures, the reason of an outcome that is no error.
    """
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = msgspec.json.decode(line, type=_Row)
            yield msgspec.convert(_fields(row), Sample)
        except (msgspec.MsgspecError, KeyError, ValueError, IndexError, RecursionError) as error:
            raise StorageError(f"{where}, line {number}: it is no answer: {error}") from error


def _fields(row: _Row) -> dict[str, Any]:
    told = row.metadata
    return {
        "suite": row.evaluation_name,
        "problem": row.sample_id,
        "sample": int(told["sample"]),
        "seed": int(told["seed"]),
        "outcome": told["outcome"],
        "answer": row.answer_attribution[0].extracted_value,
        "finish": told["finish"],
        "prompt_tokens": row.token_usage.input_tokens,
        "tokens": row.token_usage.output_tokens,
        "latency": row.performance.latency_ms / 1000,
        "text": row.output.raw[0],
        "clipped": int(told["characters_left_out_before"]),
        "kind": told["kind"],
        "reason": row.error or "",
        "statement": row.input.raw,
        "expected": row.input.reference[0],
    }

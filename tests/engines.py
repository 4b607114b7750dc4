"""What tests of the engine share: options for the builtin model, requests, and running them."""

from __future__ import annotations

import json
from typing import Any

from publisher.engine.process import EngineProcess
from publisher.engine.protocol import Completion, EngineOptions, SampleRequest
from publisher.schema import Sampling
from tests.gguf_maker import BUILTIN

WORDS = "Leo paid 74 dollars for the coins and 184 dollars for a bag. How much did he pay in total?"
WARM = Sampling(temperature=1.0, max_tokens=96)
GREEDY = Sampling(max_tokens=96)


def options(**changes: Any) -> EngineOptions:
    """Return options that run the builtin model on one thread."""
    values: dict[str, Any] = {
        "model": BUILTIN,
        "sha256": "",
        "context": 256,
        "gpu_layers": 0,
        "mode": "reproducible",
        "slots": 4,
        "threads": 1,
        "batch": 0,
        "flash_attention": False,
        "timeout": 60.0,
        "sampling": Sampling(max_tokens=96),
        "system": "",
        "template": "{problem}",
    }
    return EngineOptions(**{**values, **changes})


def requests(count: int, *, max_tokens: int = 0) -> list[SampleRequest]:
    """Return requests for samples of one problem."""
    return [SampleRequest(number, WORDS, number, "a", max_tokens) for number in range(count)]


def sampled_requests(problems: int, samples: int) -> list[SampleRequest]:
    """Return requests for samples of the builtin suite's first problems, each with a seed of its own."""
    lines = BUILTIN.with_name("abacus.jsonl").read_text().splitlines()[:problems]
    texts = [json.loads(line)["problem"] for line in lines]
    keys = range(problems * samples)
    return [SampleRequest(key, texts[key // samples], 77 * key + 5, str(key // samples)) for key in keys]


def run(wanted: list[SampleRequest], **changes: object) -> tuple[dict[int, Completion], dict[str, float]]:
    """Return completions by key, and the figures of the run."""
    with EngineProcess(options(**changes)) as engine:
        completions = {completion.key: completion for completion in engine.generate(wanted)}
        return completions, engine.statistics()


def texts(wanted: list[SampleRequest], **changes: object) -> dict[int, str]:
    """Return the texts by key."""
    return {key: completion.text for key, completion in run(wanted, **changes)[0].items()}


def pid(engine: EngineProcess) -> int:
    """Return the child's process id."""
    assert engine._child is not None
    return engine._child._process.pid

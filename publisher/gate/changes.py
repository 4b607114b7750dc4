"""What was changed between two runs: model, prompt, sampling, suites, engine and machine, as their records tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.schema import Change
from publisher.words import word_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.schema import MachineIdentity, ModelIdentity, Part, Record, Sampling, SuiteIdentity

LONGEST = 4_000
"""Characters of a prompt that are compared. A longer one is cut, and its digest still tells."""
LONGEST_SETTING = 300
"""Characters of any other setting that are shown."""
_TOLD = frozenset({"context", "engine", "gpu_layers", "mode", "sampling"})
"""The conditions that fields of the record tell in better words."""


def changes(record: Record, base: Record) -> list[Change]:
    """Return the settings of a run that differ from an earlier one's, in the order in which they decide a score."""
    return [
        *_differing("model", _model(base.model), _model(record.model)),
        *_prompt(record, base),
        *_differing("sampling", _sampling(base.sampling), _sampling(record.sampling)),
        *_suites(record, base),
        *_differing("engine", _engine(base), _engine(record)),
        *_differing("machine", _machine(base.machine), _machine(record.machine)),
    ]


def _differing(part: Part, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Change]:
    """Yield what differs between two sets of settings, in their order."""
    for name in dict.fromkeys([*before, *after]):
        old, new = (str(side.get(name, ""))[:LONGEST_SETTING] for side in (before, after))
        if before.get(name, "") != after.get(name, ""):
            yield Change(part=part, name=name, before=old, after=new)


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


def _prompt(record: Record, base: Record) -> Iterator[Change]:
    for name, before, after in (
        ("system", base.prompt.system, record.prompt.system),
        ("template", base.prompt.template, record.prompt.template),
    ):
        if before != after:
            old, new = before[:LONGEST], after[:LONGEST]
            yield Change(part="prompt", name=name, before=old, after=new, passages=word_diff(old, new))


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


def _suites(record: Record, base: Record) -> Iterator[Change]:
    """Yield what differs in the suites that both runs measured."""
    before = {suite.name: suite for suite in base.suites}
    for suite in record.suites:
        if suite.name in before:
            yield from _differing("suite", _suite(before[suite.name]), _suite(suite))


def _suite(suite: SuiteIdentity) -> dict[str, object]:
    return {
        f"{suite.name}: problems": suite.problems,
        f"{suite.name}: samples per problem": suite.samples,
        f"{suite.name}: sha256": suite.sha256,
        f"{suite.name}: grader": f"{suite.grader} {suite.grader_version}",
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

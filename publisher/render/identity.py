"""What decides a result and how to run it again: facts and commands for the home page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.parts import Command, Fact, Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.render.gather import Snapshot
    from publisher.schema import EngineIdentity, GpuIdentity, Record, Sampling


def facts(snapshot: Snapshot) -> list[Facts]:
    """Return everything that decides the result, so that anyone can run it again."""
    record = snapshot.record
    model, engine, machine, sampling = record.model, record.engine, record.machine, record.sampling
    slots = text.plural(engine.slots, "slot")
    if engine.engines > 1:
        slots = f"{engine.engines} engines of {slots} each"
    groups = {
        "Commit": [
            ("commit", record.commit.sha, 1),
            ("subject", record.commit.subject, 0),
            ("author", record.commit.author, 0),
            ("written", text.time(record.commit.time), 0),
            ("run", record.run_id, 1),
            ("working tree", "differed from the commit" if record.commit.dirty else "as committed", 0),
        ],
        "Model": [
            ("name", model.name, 0),
            ("source", model.source, 1),
            ("sha256", model.sha256, 1),
            ("quantization", model.quantization, 0),
            ("architecture", model.architecture, 0),
            ("parameters", text.count(model.parameters), 0),
            ("size", text.size(model.size), 0),
            ("trained context", f"{text.count(model.context_trained)} tokens", 0),
            ("chat template", model.chat_template_sha256, 1),
        ],
        "Sampling": [
            ("temperature", f"{sampling.temperature:g}", 0),
            ("top p", f"{sampling.top_p:g}", 0),
            ("top k", _or_off(sampling.top_k), 0),
            ("min p", _or_off(sampling.min_p), 0),
            *_penalties(sampling),
            ("most tokens", text.count(sampling.max_tokens), 0),
            ("salt", record.salt, 1),
            ("fingerprint", record.fingerprint, 1),
        ],
        "Prompt": [
            *([("name", record.prompt.name, 0)] if record.prompt.name else []),
            ("system", record.prompt.system, 0),
            ("template", record.prompt.template, 0),
            *([("stop", " · ".join(map(repr, record.prompt.stop)), 0)] if record.prompt.stop else []),
            ("sha256", record.prompt.sha256, 1),
        ],
        "Engine": [
            ("engine", f"{engine.name} {engine.version}", 0),
            ("build", engine.build, 0),
            ("backend", " · ".join(dict.fromkeys([engine.backend, *engine.devices])), 0),
            (
                "GPU layers",
                f"{engine.gpu_layers_offloaded} of {engine.offloadable} (wanted {engine.gpu_layers_wanted})",
                0,
            ),
            ("GPU offload", engine.offload_missing, 0),
            *[(f"GPU {gpu.name}", _gpu(gpu, record.statistics), 0) for gpu in engine.gpus],
            ("schedule", f"{engine.mode}: {slots}, {text.plural(engine.threads, 'thread')}", 0),
            ("context", f"{text.count(engine.context)} tokens", 0),
            ("confinement", _confined(engine), 0),
        ],
        "Machine": [
            ("processor", f"{machine.cpu}, {text.plural(machine.cores, 'core')}", 0),
            ("GPU", machine.gpu or "none", 0),
            ("memory", text.size(machine.memory), 0),
            ("system", machine.system, 0),
            ("Python", machine.python, 0),
            ("publisher", machine.publisher, 0),
            ("took", text.duration(record.duration), 0),
            ("other programs", _others(record), 0),
            ("energy", _energy(record.statistics), 0),
        ],
    }
    shown = [
        (heading, [Fact(term, text.line(value, 400), bool(code)) for term, value, code in items if value])
        for heading, items in groups.items()
    ]
    return [Facts(heading, tuple(items)) for heading, items in shown]


def _gpu(gpu: GpuIdentity, figures: Mapping[str, float]) -> str:
    """Return a GPU's driver and memory as a reader sees them, and how it fared where that is known."""
    sizes = f"{text.size(gpu.allocated)} of {text.size(gpu.memory)} allocated"
    known = {name.rpartition(".")[0]: value for name, value in figures.items() if name.endswith(f".{gpu.name}")}
    more = [f"{text.size(int(known['gpu_peak_memory']))} in use at most"] if "gpu_peak_memory" in known else []
    for name, unit in (("gpu_watts", "W"), ("gpu_celsius", "°C at most"), ("gpu_megahertz", "MHz")):
        more += [f"{known[name]:,.0f} {unit}"] if name in known else []
    return ", ".join([gpu.description, f"driver {gpu.driver or 'unknown'}", sizes, *more])


def _others(record: Record) -> str:
    """Return how busy other programs kept the machine; nothing where the record does not say."""
    busy = record.statistics.get("other_load")
    return "" if busy is None else f"kept {busy:.1f} of {text.plural(record.machine.cores, 'core')} busy"


def _energy(figures: Mapping[str, float]) -> str:
    """Return the energy of a run by kind of device; said to be unknown where nothing counted it."""
    kinds = {"energy_cpu_joules": "processor", "energy_gpu_joules": "GPU"}
    known = [f"{name} {figures[key]:,.0f} J" for key, name in kinds.items() if key in figures]
    return ", ".join(known) if known else ("unknown" if "other_load" in figures else "")


def _confined(engine: EngineIdentity) -> str:
    """Return what the kernel kept from the processes that ran the model; nothing where the record does not say."""
    kept = engine.confinement
    if kept is None:
        return ""
    parts = [f"files (Landlock {kept.landlock})" if kept.landlock else "", "system calls" if kept.calls else ""]
    said = " and ".join(part for part in parts if part)
    return "; ".join([f"{said} confined" if said else "none", *kept.missing])


def _or_off(value: float) -> str:
    return f"{value:g}" if value else "off"


def _penalties(sampling: Sampling) -> list[tuple[str, str, int]]:
    """Return the penalties that change a logit; nothing where all are off."""
    found = [("repetition penalty", sampling.repetition_penalty, 1.0)]
    found += [
        ("frequency penalty", sampling.frequency_penalty, 0.0),
        ("presence penalty", sampling.presence_penalty, 0),
    ]
    rows = [(name, f"{value:g}", 0) for name, value, off in found if value != off]
    return [*rows, ("penalties look back", text.plural(sampling.penalty_window, "token"), 0)] if rows else []


def reproducing(snapshot: Snapshot) -> list[Command]:
    """Return the commands that measure this commit again."""
    record = snapshot.record
    commit, version = text.line(record.commit.sha), text.line(record.machine.publisher, 30)
    return [
        Command(
            "Fetch the commit, its record and every answer.",
            (f"git fetch origin {snapshot.branch}", f"git show {snapshot.commit}:ledger/record.json"),
        ),
        Command(
            "Measure it again: same model bytes, prompt, seeds and suites.",
            (
                f'pip install "snapshot-publisher[bench]=={version}"',
                f"publisher bench {commit} --tier {text.line(record.tier, 40)}",
            ),
        ),
    ]


def pinning(snapshot: Snapshot) -> list[Command]:
    """Return the commands that use this snapshot from elsewhere."""
    return [
        Command(
            "Read this snapshot's result from a script; the address always answers with this run.",
            (f"curl -fsS {snapshot.pin}/snapshot.json",),
        ),
        Command(
            "Check that nothing has changed: every file with its SHA-256.", (f"curl -fsS {snapshot.pin}/manifest.json",)
        ),
    ]

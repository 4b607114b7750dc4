"""What decides a result and how to run it again: facts and commands for the home page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.language import say
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
        slots = say("%(engines)s engines of %(slots)s each", engines=engine.engines, slots=slots)
    groups = {
        say("Commit"): [
            (say("commit"), record.commit.sha, 1),
            (say("subject"), record.commit.subject, 0),
            (say("author"), record.commit.author, 0),
            (say("written"), text.time(record.commit.time), 0),
            (say("run"), record.run_id, 1),
            (say("working tree"), say("differed from the commit") if record.commit.dirty else say("as committed"), 0),
        ],
        say("Model"): [
            (say("name"), model.name, 0),
            (say("source"), model.source, 1),
            ("sha256", model.sha256, 1),
            (say("quantization"), model.quantization, 0),
            (say("architecture"), model.architecture, 0),
            (say("parameters"), text.count(model.parameters), 0),
            (say("size"), text.size(model.size), 0),
            (say("trained context"), text.plural(model.context_trained, "token"), 0),
            (say("chat template"), model.chat_template_sha256, 1),
        ],
        say("Sampling"): [
            (say("temperature"), f"{sampling.temperature:g}", 0),
            (say("top p"), f"{sampling.top_p:g}", 0),
            (say("top k"), _or_off(sampling.top_k), 0),
            (say("min p"), _or_off(sampling.min_p), 0),
            *_penalties(sampling),
            (say("most tokens"), text.count(sampling.max_tokens), 0),
            (say("salt"), record.salt, 1),
            (say("fingerprint"), record.fingerprint, 1),
        ],
        say("Prompt"): [
            *([(say("name"), record.prompt.name, 0)] if record.prompt.name else []),
            (say("system"), record.prompt.system, 0),
            (say("template"), record.prompt.template, 0),
            *([(say("stop"), " · ".join(map(repr, record.prompt.stop)), 0)] if record.prompt.stop else []),
            ("sha256", record.prompt.sha256, 1),
        ],
        say("Engine"): [
            (say("engine"), f"{engine.name} {engine.version}", 0),
            (say("build"), engine.build, 0),
            (say("backend"), " · ".join(dict.fromkeys([engine.backend, *engine.devices])), 0),
            (
                say("GPU layers"),
                say(
                    "%(offloaded)s of %(offloadable)s (wanted %(wanted)s)",
                    offloaded=engine.gpu_layers_offloaded,
                    offloadable=engine.offloadable,
                    wanted=engine.gpu_layers_wanted,
                ),
                0,
            ),
            (say("GPU offload"), engine.offload_missing, 0),
            *[(f"GPU {gpu.name}", _gpu(gpu, record.statistics), 0) for gpu in engine.gpus],
            (say("schedule"), f"{engine.mode}: {slots}, {text.plural(engine.threads, 'thread')}", 0),
            (say("context"), text.plural(engine.context, "token"), 0),
            (say("confinement"), _confined(engine), 0),
        ],
        say("Machine"): [
            (say("processor"), f"{machine.cpu}, {text.plural(machine.cores, 'core')}", 0),
            ("GPU", machine.gpu or say("none"), 0),
            (say("memory"), text.size(machine.memory), 0),
            (say("system"), machine.system, 0),
            ("Python", machine.python, 0),
            ("publisher", machine.publisher, 0),
            (say("took"), text.duration(record.duration), 0),
            (say("other programs"), _others(record), 0),
            (say("energy"), _energy(record), 0),
        ],
    }
    shown = [
        (heading, [Fact(term, text.line(value, 400), bool(code)) for term, value, code in items if value])
        for heading, items in groups.items()
    ]
    return [Facts(heading, tuple(items)) for heading, items in shown]


def _gpu(gpu: GpuIdentity, figures: Mapping[str, float]) -> str:
    """Return a GPU's driver and memory as a reader sees them, and how it fared where that is known."""
    sizes = say(
        "%(allocated)s of %(memory)s allocated", allocated=text.size(gpu.allocated), memory=text.size(gpu.memory)
    )
    known = {name.rpartition(".")[0]: value for name, value in figures.items() if name.endswith(f".{gpu.name}")}
    more = (
        [say("%(known)s in use at most", known=text.size(int(known["gpu_peak_memory"])))]
        if "gpu_peak_memory" in known
        else []
    )
    for name, unit in (("gpu_watts", "W"), ("gpu_celsius", say("°C at most")), ("gpu_megahertz", "MHz")):
        more += [f"{known[name]:,.0f} {unit}"] if name in known else []
    return ", ".join([gpu.description, say("driver %(driver)s", driver=gpu.driver or say("unknown")), sizes, *more])


def _others(record: Record) -> str:
    """Return how busy other programs kept the machine; nothing where the record does not say."""
    busy = record.statistics.get("other_load")
    return (
        ""
        if busy is None
        else say(
            "kept %(busy)s of %(cores)s busy", busy=text.points(busy), cores=text.plural(record.machine.cores, "core")
        )
    )


def _energy(record: Record) -> str:
    """Return the energy of a run by kind of device; said to be unknown where nothing counted it."""
    figures, kinds = record.statistics, {"energy_cpu_joules": say("processor"), "energy_gpu_joules": "GPU"}
    known = [f"{name} {figures[key]:,.0f} J" for key, name in kinds.items() if key in figures]
    used = ["energy_cpu_joules", *(["energy_gpu_joules"] if record.engine.gpus else [])]
    known += [f"{kinds[key]} {say('unknown')}" for key in used if known and key not in figures]
    return ", ".join(known) if known else (say("unknown") if "other_load" in figures else "")


def _confined(engine: EngineIdentity) -> str:
    """Return what the kernel kept from the processes that ran the model; nothing where the record does not say."""
    kept = engine.confinement
    if kept is None:
        return ""
    parts = [
        say("files (Landlock %(landlock)s)", landlock=kept.landlock) if kept.landlock else "",
        say("system calls") if kept.calls else "",
    ]
    said = [part for part in parts if part]
    listed = say("%(one)s and %(other)s", one=said[0], other=said[1]) if len(said) > 1 else "".join(said)
    return "; ".join([say("%(listed)s confined", listed=listed) if said else say("none"), *kept.missing])


def _or_off(value: float) -> str:
    return f"{value:g}" if value else say("off")


def _penalties(sampling: Sampling) -> list[tuple[str, str, int]]:
    """Return the penalties that change a logit; nothing where all are off."""
    found = [(say("repetition penalty"), sampling.repetition_penalty, 1.0)]
    found += [
        (say("frequency penalty"), sampling.frequency_penalty, 0.0),
        (say("presence penalty"), sampling.presence_penalty, 0),
    ]
    rows = [(name, f"{value:g}", 0) for name, value, off in found if value != off]
    return [*rows, (say("penalties look back"), text.plural(sampling.penalty_window, "token"), 0)] if rows else []


def reproducing(snapshot: Snapshot) -> list[Command]:
    """Return the commands that measure this commit again."""
    record = snapshot.record
    commit, version = text.line(record.commit.sha), text.line(record.machine.publisher, 30)
    return [
        Command(
            say("Fetch the commit, its record and every answer."),
            (f"git fetch origin {snapshot.branch}", f"git show {snapshot.commit}:ledger/record.json"),
        ),
        Command(
            say("Measure it again: same model bytes, prompt, seeds and suites."),
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
            say("Read this snapshot's result from a script; the address always answers with this run."),
            (f"curl -fsS {snapshot.pin}/snapshot.json",),
        ),
        Command(
            say("Check that nothing has changed: every file with its SHA-256."),
            (f"curl -fsS {snapshot.pin}/manifest.json",),
        ),
    ]

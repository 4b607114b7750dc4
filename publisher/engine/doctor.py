"""Tests llama.cpp on this machine, in child processes, and reports what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from publisher.engine import devices, offload
from publisher.engine.devices import install_command
from publisher.engine.process import EngineProcess
from publisher.engine.protocol import EngineOptions, Library, SampleRequest
from publisher.errors import ModelError
from publisher.schema import Sampling, Struct

if TYPE_CHECKING:
    from publisher.schema import Confinement

_TRIAL = "Leo has 12 apples. He buys 30 more apples. How many apples does Leo have now?"
_PATIENCE = 600.0
"""Seconds of silence that a trial may have: a driver may compile its shaders on first use, and that takes long."""
_VENDORS = ("NVIDIA", "AMD", "Apple")
"""Whose driver is loaded only where there is a GPU that is worth it; a Vulkan device can be a server's console."""
_UNIFIED_MEMORY = Path("/dev/nvidia-uvm")


class EngineReport(Struct, frozen=True, kw_only=True):
    """The engine's state on this machine; `hints` has one entry per entry of `problems`."""

    library: Library | None
    backends: list[str]
    """The GPU backends that llama.cpp was built with."""
    possible: list[str]
    """Those that this machine could have, by the drivers that are loaded, the fastest first."""
    install: list[str]
    """One command per possible backend that rebuilds llama.cpp with it."""
    gpu_driver: str
    """The vendor of the GPU driver that is loaded; "" for none."""
    model: str
    loaded: bool
    layers: int
    layers_offloaded: int
    backend: str
    decode_tokens_per_second: float
    repeatable: bool
    """Whether a few samples had the same texts twice in reproducible mode."""
    problems: list[str]
    hints: list[str]

    @property
    def healthy(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def inspect_engine(model: Path) -> EngineReport:
    """Return a report on llama.cpp: its build, its devices, and a trial run of `model`."""
    problems: list[tuple[str, str]] = []
    could = offload.possible()
    driver, flag = next(((one.vendor, one.flag) for one in could if one.vendor in _VENDORS), ("", ""))
    library = _library(problems)
    trial = _Trial()
    if library is not None:
        trial = _try_out(model, problems)
        if driver and trial.offloaded == 0:
            problems.append(_unused_gpu(driver, flag, library))
    return EngineReport(
        library=library,
        backends=devices.gpu_backends(),
        possible=[one.backend for one in could],
        install=[install_command(one.flag) for one in could],
        gpu_driver=driver,
        model=str(model),
        loaded=trial.loaded,
        layers=trial.layers,
        layers_offloaded=trial.offloaded,
        backend=trial.backend,
        decode_tokens_per_second=trial.speed,
        repeatable=trial.repeatable,
        problems=[problem for problem, _ in problems],
        hints=[hint for _, hint in problems],
    )


def _unused_gpu(driver: str, flag: str, library: Library) -> tuple[str, str]:
    """Return why llama.cpp put no layer on a GPU that has a driver, and what to do."""
    if not library.offload_supported:
        return f"there is a {driver} GPU, but llama.cpp was built without GPU support", install_command(flag)
    if driver == "NVIDIA" and not _UNIFIED_MEMORY.exists():
        # CUDA would start this program itself; a confined process can start none.
        return f"CUDA needs the device {_UNIFIED_MEMORY}, which does not exist yet", "sudo nvidia-modprobe -c 0 -u"
    return f"there is a {driver} GPU, but llama.cpp put no layer on it", install_command(flag)


def report_lines(report: EngineReport) -> list[str]:
    """Return the report for people: llama.cpp's build and devices, the confinement, and the trial run."""
    lines = []
    if build := report.library:
        can = "can" if build.offload_supported else "cannot"
        lines.append(f"llama.cpp {build.build} (llama-cpp-python {build.version}), {can} offload to a GPU")
        for device in build.devices:
            driver = f", driver {device.driver}" if device.driver else ""
            lines.append(f"  device {device.name}: {device.description}, {device.memory / 2**30:.1f} GiB{driver}")
        lines += [*backend_lines(report), f"  {build.system_info}", *confinement_lines(build.confinement)]
    if report.loaded:
        lines.append(
            f"model: {report.layers_offloaded} of {report.layers + 1} layers offloaded, backend {report.backend}, "
            f"{report.decode_tokens_per_second:,.0f} tokens/s, {'' if report.repeatable else 'NOT '}repeatable"
        )
    return lines


def backend_lines(report: EngineReport) -> list[str]:
    """Return which GPU backends llama.cpp has and which the machine could have, with their commands, for people."""
    lines = [f"GPU backends: {', '.join(report.backends) or 'none'} built in"]
    for backend, command in zip(report.possible, report.install, strict=True):
        if backend not in report.backends:
            lines.append(f"  possible here: {backend}: {command}")
    if not report.possible:
        lines.append("  possible here: none, because no GPU driver is loaded")
    return lines


def confinement_lines(found: Confinement) -> list[str]:
    """Return how engines and graders are confined on this machine, for people."""
    landlock = f"Landlock {found.landlock}" if found.landlock else "no Landlock"
    calls = "system calls filtered" if found.calls else "system calls not filtered"
    first = f"confined processes: user {found.user}, {landlock}, {calls}"
    return [first, *(f"  NOT confined: {reason}" for reason in found.missing)]


class _Trial(Struct, frozen=True):
    """The outcome of a trial run."""

    loaded: bool = False
    layers: int = 0
    offloaded: int = 0
    backend: str = ""
    speed: float = 0.0
    repeatable: bool = False


def _library(problems: list[tuple[str, str]]) -> Library | None:
    """Return what llama.cpp says about itself, or None with a problem more."""
    try:
        return devices.ask()
    except ModelError as error:
        problems.append((error.message, error.hint))
        return None


def _try_out(model: Path, problems: list[tuple[str, str]]) -> _Trial:
    """Load a model and generate a few samples twice; problems are added to `problems`."""
    options = EngineOptions(
        model=model,
        sha256="",
        context=512,
        gpu_layers="all",
        mode="reproducible",
        slots=8,
        threads=0,
        batch=0,
        flash_attention=False,
        timeout=_PATIENCE,
        sampling=Sampling(temperature=1.0, max_tokens=32),
        system="",
        template="{problem}",
    )
    requests = [SampleRequest(number, _TRIAL, number, "a") for number in range(8)]
    try:
        with EngineProcess(options) as engine:
            first = {done.key: done.text for done in engine.generate(requests)}
            second = {done.key: done.text for done in engine.generate(requests)}
            trial = _Trial(
                loaded=True,
                layers=engine.identity.layers,
                offloaded=engine.identity.gpu_layers_offloaded,
                backend=engine.identity.backend,
                speed=engine.statistics().get("decode_tokens_per_second", 0.0),
                repeatable=first == second,
            )
    except ModelError as error:
        problems.append((error.message, error.hint))
        return _Trial()
    if not trial.repeatable:
        problems.append(
            ("the same samples had different texts the second time", 'set mode = "fast", or offload no layers')
        )
    return trial

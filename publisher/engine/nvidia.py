"""NVIDIA's GPUs as their driver's own library (NVML) knows them; none where there is no driver.

NVML is opened once per process: opening it takes longer than everything that is asked of it. Its order of the cards is
not llama.cpp's, so a card is known by its PCI bus id. A card that fell off its bus can leave a call without an answer
for ever, so every call has a deadline; after one that was missed, nothing is asked any more and nothing is known.
"""

from __future__ import annotations

import functools
import re
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_P = ParamSpec("_P")
_T = TypeVar("_T")
DEADLINE = 20.0
"""Seconds that the driver may take to answer: it wakes sleeping cards one after the other."""
_late = threading.Event()
"""Set once the driver has missed its deadline."""

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""One of these exists where a driver is loaded: on Linux, and on Linux inside Windows."""
_PCI = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])", re.IGNORECASE)


class Reading(NamedTuple):
    """What a card says of itself now; None for what it does not tell."""

    busy: float | None
    """The share of the last moment, from 0 to 1, for which it calculated."""
    watts: float | None
    celsius: float | None
    megahertz: float | None
    """The clock of its multiprocessors."""


class _Card(NamedTuple):
    """A card: its handle in NVML, its product name, and its PCI bus id as `pci_id` writes it."""

    handle: Any
    name: str
    pci: str


def _bounded(unknown: Any) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Return what makes a function return `unknown` where the driver misses its deadline, and from then on.

    The call stays behind in a thread that does not keep the process alive.
    """

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(function)
        def asked(*arguments: _P.args, **more: _P.kwargs) -> _T:
            default: _T = unknown
            if _late.is_set():
                return default
            answer: Future[_T] = Future()

            def ask() -> None:
                try:
                    answer.set_result(function(*arguments, **more))
                except BaseException as error:  # noqa: BLE001 - the caller raises it
                    answer.set_exception(error)

            # A pool's threads would be waited for at the end of the process.
            threading.Thread(target=ask, name="nvml", daemon=True).start()
            try:
                return answer.result(DEADLINE)
            except TimeoutError:
                _late.set()
                return default

        return asked

    return decorate


def pci_id(text: str) -> str:
    """Return a PCI bus id in one form: NVML writes eight digits of the domain, and capitals; "" for what is none."""
    found = _PCI.fullmatch(text.strip())
    if found is None:
        return ""
    domain, bus, device, function = (int(part, 16) for part in found.groups())
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


@_bounded(())
def names() -> tuple[str, ...]:
    """Return the GPUs' product names, in NVML's order."""
    return tuple(card.name for card in _opened()[1])


@_bounded("")
def driver(pci: str = "") -> str:
    """Return the version of the driver, of the card with this bus id where one is given; "" where there is none."""
    nvml, cards = _opened()
    if not any(not pci or card.pci == pci_id(pci) for card in cards):
        return ""
    try:
        return _text(nvml.nvmlSystemGetDriverVersion())
    except nvml.NVMLError:
        return ""


@_bounded(None)
def millijoules(pci: Collection[str]) -> int | None:
    """Return what the cards with these bus ids have used since their driver was loaded; None where not each tells."""
    nvml, cards = _chosen(pci)
    found = [_asked(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, card.handle) for card in cards]
    known = [value for value in found if value is not None]
    return int(sum(known)) if known and len(known) == len(set(pci)) else None


@_bounded({})
def readings(pci: Collection[str]) -> dict[str, Reading]:
    """Return what the cards with these bus ids say of themselves now, by bus id."""
    nvml, cards = _chosen(pci)
    return {card.pci: _reading(nvml, card.handle) for card in cards}


def _reading(nvml: Any, handle: Any) -> Reading:
    """Return what one card says of itself now."""
    percent = _asked(nvml, lambda card: nvml.nvmlDeviceGetUtilizationRates(card).gpu, handle)
    milliwatts = _asked(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
    return Reading(
        busy=None if percent is None else percent / 100,
        watts=None if milliwatts is None else milliwatts / 1000,
        celsius=_asked(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        megahertz=_asked(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
    )


def _asked(nvml: Any, function: Any, *arguments: Any) -> float | None:
    """Return the number that a function of NVML returns; None where the card does not tell."""
    try:
        return float(function(*arguments))
    except nvml.NVMLError:
        return None


def _chosen(pci: Collection[str]) -> tuple[Any, list[_Card]]:
    """Return NVML's module and the cards with some bus ids."""
    wanted = {pci_id(one) for one in pci} - {""}
    nvml, cards = _opened() if wanted else (None, ())
    return nvml, [card for card in cards if card.pci in wanted]


@functools.cache
def _opened() -> tuple[Any, tuple[_Card, ...]]:
    """Open NVML for good and return its module and the cards; no cards where there is no driver."""
    if not any(path.exists() for path in _DRIVERS):
        return None, ()  # importing the module takes longer than starting an engine
    try:
        import pynvml  # noqa: PLC0415 - for the reason above
    except ImportError:
        return None, ()  # an installation without the extra `bench`
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return pynvml, tuple(
            _Card(
                handle,
                _text(pynvml.nvmlDeviceGetName(handle)),
                pci_id(_text(pynvml.nvmlDeviceGetPciInfo(handle).busId)),
            )
            for handle in handles
        )
    except pynvml.NVMLError:
        return pynvml, ()


def _text(value: str | bytes) -> str:
    """Return a text of NVML, whose binding decodes some and not others."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

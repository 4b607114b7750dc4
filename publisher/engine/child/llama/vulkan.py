"""The versions of Vulkan's drivers, which ggml does not tell, from the Vulkan loader itself.

Two drivers round sums differently on the same card, so their versions belong to what decides a text. A driver is found
by its device's PCI bus id, which ggml tells as well, otherwise by the device's name. Where two drivers offer the same
device, which of them ggml took is unknown.
Sources: https://registry.khronos.org/vulkan/specs/latest/man/html/VkPhysicalDeviceDriverProperties.html and
VkPhysicalDevicePCIBusInfoPropertiesEXT.html beside it.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSTANCE_INFO, _PROPERTIES_2, _DRIVER_PROPERTIES, _BUS_PROPERTIES = 1, 1_000_059_001, 1_000_196_000, 1_000_212_000
_NO_DOMAIN = 0xFFFFFFFF
"""What stands where a driver that does not know its bus has written nothing."""
_VULKAN_1_2 = (1 << 22) | (2 << 12)
_PROPERTIES = 824
"""Bytes of VkPhysicalDeviceProperties; the name is 20 bytes from its start."""


class _Application(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_uint32),
        ("engine", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32),
        ("api", ctypes.c_uint32),
    )


class _Instance(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.POINTER(_Application)),
        ("layers", ctypes.c_uint32),
        ("layer_names", ctypes.c_void_p),
        ("extensions", ctypes.c_uint32),
        ("extension_names", ctypes.c_void_p),
    )


class _Driver(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("id", ctypes.c_uint32),
        ("name", ctypes.c_char * 256),
        ("info", ctypes.c_char * 256),
        ("conformance", ctypes.c_ubyte * 4),
    )


class _Bus(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("domain", ctypes.c_uint32),
        ("bus", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
    )


class _Device(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("head", ctypes.c_ubyte * 20),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_ubyte * (_PROPERTIES - 276)),
    )


class Driven(NamedTuple):
    """One of Vulkan's devices: its name, its PCI bus id ("" where its driver does not tell), and its driver."""

    name: str
    pci: str
    driver: str


def driver_of(device: str, pci: str, known: Iterable[Driven]) -> str:
    """Return the driver, with its version, of the device with this name and bus id; "" where that is unknown."""
    known = [one for one in known if not (pci and one.pci) or one.pci == pci]
    there = [one for one in known if pci and one.pci] or [one for one in known if one.name == device]
    found = {one.driver for one in there}
    return found.pop() if len(found) == 1 else ""


@functools.cache
def drivers() -> tuple[Driven, ...]:
    """Return Vulkan's devices with their drivers; nothing where there is no Vulkan 1.2."""
    try:
        loader = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return ()
    application = _Application(api=_VULKAN_1_2)
    info = _Instance(type=_INSTANCE_INFO, application=ctypes.pointer(application))
    instance = ctypes.c_void_p()
    if loader.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)):
        return ()
    try:
        count = ctypes.c_uint32()
        loader.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
        handles = (ctypes.c_void_p * count.value)()
        loader.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
        return tuple(_driver(loader, ctypes.c_void_p(handle)) for handle in handles[: count.value])
    finally:
        loader.vkDestroyInstance(instance, None)


def _driver(loader: Any, handle: ctypes.c_void_p) -> Driven:
    """Return one physical device; a driver passes over a structure that it does not know."""
    bus = _Bus(type=_BUS_PROPERTIES, domain=_NO_DOMAIN)
    driver = _Driver(type=_DRIVER_PROPERTIES, next=ctypes.cast(ctypes.pointer(bus), ctypes.c_void_p))
    device = _Device(type=_PROPERTIES_2, next=ctypes.cast(ctypes.pointer(driver), ctypes.c_void_p))
    loader.vkGetPhysicalDeviceProperties2(handle, ctypes.byref(device))
    words = (driver.name.decode("utf-8", "replace"), driver.info.decode("utf-8", "replace"))
    place = f"{bus.domain:04x}:{bus.bus:02x}:{bus.device:02x}.{bus.function:x}" if bus.domain != _NO_DOMAIN else ""
    return Driven(device.name.decode("utf-8", "replace"), place, " ".join(word for word in words if word))

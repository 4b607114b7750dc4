"""The versions of Vulkan's drivers, which ggml does not tell, from the Vulkan loader itself.

Two drivers round sums differently on the same card, so their versions belong to what decides a text. A driver is found
by its device's name; where two drivers offer a device of the same name, which of them ggml took is unknown.
Source: https://registry.khronos.org/vulkan/specs/latest/man/html/VkPhysicalDeviceDriverProperties.html
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

_INSTANCE_INFO, _PROPERTIES_2, _DRIVER_PROPERTIES = 1, 1_000_059_001, 1_000_196_000
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


class _Device(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("head", ctypes.c_ubyte * 20),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_ubyte * (_PROPERTIES - 276)),
    )


def driver_of(device: str) -> str:
    """Return the driver of the device of this name, with its version; "" where that is unknown."""
    found = {driver for name, driver in drivers() if name == device}
    return found.pop() if len(found) == 1 else ""


@functools.cache
def drivers() -> tuple[tuple[str, str], ...]:
    """Return the name and the driver of each of Vulkan's devices; nothing where there is no Vulkan 1.2."""
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


def _driver(loader: Any, handle: ctypes.c_void_p) -> tuple[str, str]:
    """Return the name and the driver of one physical device."""
    driver = _Driver(type=_DRIVER_PROPERTIES)
    device = _Device(type=_PROPERTIES_2, next=ctypes.cast(ctypes.pointer(driver), ctypes.c_void_p))
    loader.vkGetPhysicalDeviceProperties2(handle, ctypes.byref(device))
    words = (driver.name.decode("utf-8", "replace"), driver.info.decode("utf-8", "replace"))
    return device.name.decode("utf-8", "replace"), " ".join(word for word in words if word)

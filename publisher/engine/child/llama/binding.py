"""llama.cpp's C functions as llama-cpp-python declares them, without the high-level half of that package.

Importing `llama_cpp` also imports its class `Llama` with chat formats and caches: 10 MB and 25 ms that no engine here
uses. This module imports only the package's module of declarations.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

_PACKAGE = "llama_cpp"


def _declarations() -> Any:
    """Return the module `llama_cpp.llama_cpp`; raises ModuleNotFoundError where the package is missing."""
    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.llama_cpp")
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{_PACKAGE}'", name=_PACKAGE)
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"{_PACKAGE}.llama_cpp")
    finally:
        del sys.modules[_PACKAGE]  # a later import of the package must get all of it


llama: Any = _declarations()
"""Every function, structure and constant of `llama.h` by its own name."""
LIBRARY: Any = llama._lib  # noqa: SLF001 - the library by its name would be mapped a second time
FOLDER = Path(llama.__file__).parent / "lib"
"""Where the shared libraries are."""


def version() -> str:
    """Return the package's version; importlib.metadata would load 2 MB of mail parser into each engine's process."""
    found = re.search(r'__version__ = "(.+)"', FOLDER.with_name("__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def function(name: str, result: Any, *arguments: Any) -> Any:
    """Return a C function of the loaded libraries, by its name and ctypes' types.

    It is for functions of ggml, which the package does not declare, and for calls in every step, where addresses as
    plain numbers cost less than the pointer objects that the package declares.
    """
    return ctypes.CFUNCTYPE(result, *arguments)((name, LIBRARY))

"""llama.cpp's C functions as the package llama-cpp-python declares them, without the package's high-level half.

Importing `llama_cpp` imports its class `Llama` too, with chat formats, caches and what they need: 10 MB and 25 ms that
no engine of ours uses. So the package's own code is left out here and its module of declarations imported alone.
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
        del sys.modules[_PACKAGE]  # who imports the package later gets all of it


llama: Any = _declarations()
"""Every function, structure and constant of `llama.h` by its own name."""
LIBRARY: Any = llama._lib  # noqa: SLF001 - the one copy of the library that is in use; loading by name maps a second
FOLDER = Path(llama.__file__).parent / "lib"
"""Where the shared libraries are."""


def version() -> str:
    """Return the package's version; importlib.metadata would bring 2 MB of mail parser into each engine's process."""
    found = re.search(r'__version__ = "(.+)"', FOLDER.with_name("__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def function(name: str, result: Any, *arguments: Any) -> Any:
    """Return a C function of the loaded libraries, by its name and ctypes' types.

    For functions of ggml, which the package does not declare, and for calls of each step, where addresses as plain
    numbers cost less than the pointer objects of the package's declarations.
    """
    return ctypes.CFUNCTYPE(result, *arguments)((name, LIBRARY))

"""Benchmark the language model that a git commit describes and publish every kept result as an immutable site.

    import publisher

    shown = publisher.snapshot("https://snapshot-0123456789ab--my-site.netlify.app", manifest="…")
    runs = publisher.ledger(".").runs()
    publisher.frame(runs[-1].samples)

The functions are imported when the first of them is used, so that `import publisher` and the command line stay quick.
"""

from __future__ import annotations

import sys
from types import ModuleType

from publisher.version import __version__

# Not imported: `typing` takes longer than all else that is loaded before the command line can catch Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from publisher.api import (
        Ledger,
        Library,
        Proof,
        PublisherError,
        Run,
        Snapshot,
        bench,
        compare,
        frame,
        ledger,
        snapshot,
    )

__all__ = [
    "Ledger",
    "Library",
    "Proof",
    "PublisherError",
    "Run",
    "Snapshot",
    "__version__",
    "bench",
    "compare",
    "frame",
    "ledger",
    "snapshot",
]


class _Package(ModuleType):
    """The package, in which `bench` and `ledger` are functions although rooms have the same names.

    Importing `publisher.ledger.store` sets the attribute `ledger` of this module to the room. That is ignored here:
    imports find rooms by their full names, and `publisher.ledger` stays the function whatever was imported before.
    Write `from publisher.ledger import store`, since `import publisher.ledger.store as store` reads the attribute.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


if not TYPE_CHECKING:  # otherwise a misspelt name would have the type Any

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - as above

        return getattr(importlib.import_module("publisher.api"), name)


def __dir__() -> list[str]:
    return [*__all__]

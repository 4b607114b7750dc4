"""Prints what llama.cpp says about itself; run as `python -m publisher.engine.child.probe`."""

from __future__ import annotations

import sys

import msgspec

from publisher import confine
from publisher.engine.protocol import Library


def main() -> None:
    """Print one `Library` as JSON."""
    confinement = confine.confine(confine.Profile(gpu=True))
    from publisher.engine.child.llama import binding, library  # noqa: PLC0415 - after the process has been confined

    llama = binding.llama
    llama.llama_backend_init()
    found = Library(
        version=binding.version(),
        build=library.build(),
        system_info=library.system_info(),
        library_sha256=library.library_digest(),
        offload_supported=bool(llama.llama_supports_gpu_offload()),
        max_sequences=int(llama.llama_max_parallel_sequences()),
        devices=library.devices(),
        confinement=confinement,
    )
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()

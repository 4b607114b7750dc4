"""Quantizes a model with llama.cpp's own function.

Run as `python -m publisher.engine.child.quantizing SOURCE TARGET NUMBER AGAIN PARENT`: the descriptors of both open
files, llama.cpp's number of the quantization, 1 where the source may be quantized already, and the parent's process id.
"""

from __future__ import annotations

import sys

from publisher import confine


def main() -> None:
    """Quantize as the arguments say; exit with 1 where llama.cpp fails."""
    source, target, number, again, parent = (int(text) for text in sys.argv[1:6])
    confine.confine(confine.Profile(reads=(source,), writes=(target,)))
    confine.die_with_parent(parent)
    from publisher.engine import machine  # noqa: PLC0415 - after the process has been confined
    from publisher.engine.child.llama.binding import llama  # noqa: PLC0415 - as above

    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = number
    parameters.allow_requantize = again == 1
    parameters.nthread = machine.cores()
    # The package's own log callback hides the reason of a failure.
    llama.llama_log_set(llama.llama_log_callback(), None)
    paths = (f"/proc/self/fd/{descriptor}".encode() for descriptor in (source, target))
    sys.exit(1 if llama.llama_model_quantize(*paths, parameters) else 0)


if __name__ == "__main__":
    main()

"""A program that quantizes a model with llama.cpp's own function.

Run as `python -m publisher.engine.child.quantizing SOURCE TARGET NUMBER AGAIN`: llama.cpp's number of the
quantization, and 1 where the source may be quantized already.
"""

from __future__ import annotations

import sys

from publisher.engine import machine
from publisher.engine.child.llama.binding import llama


def main() -> None:
    """Quantize as the arguments say; exit code 1 when llama.cpp refuses."""
    source, target, number, again = sys.argv[1:5]
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = int(number)
    parameters.allow_requantize = again == "1"
    parameters.nthread = machine.cores()
    # The package's own log callback hides the reason of a failure.
    llama.llama_log_set(llama.llama_log_callback(), None)
    sys.exit(1 if llama.llama_model_quantize(source.encode(), target.encode(), parameters) else 0)


if __name__ == "__main__":
    main()

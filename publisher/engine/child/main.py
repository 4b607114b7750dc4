"""The engine's child process: reads requests from one pipe and writes completions to another.

Run as `python -m publisher.engine.child.main READ WRITE MODEL PARENT`: the descriptors of the two pipes and of the open
model file, and the parent's process id. It confines itself before it reads a byte of the model, and dies with its
parent.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from publisher import confine
from publisher.engine import protocol
from publisher.engine.protocol import Answer, Beat, Failed, Finished, FrameReader, Generate, Load, Loaded, Reprompt
from publisher.errors import PublisherError

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import Confinement

_BEAT_SECONDS = 0.5


class Heartbeat:
    """Sends a Beat to the parent every half second, from within the work, so that a hang is silence."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last = 0.0
        self.figures: Callable[[], dict[str, float]] = dict
        """Returns the figures of the work in progress."""

    def __call__(self, doing: str) -> None:
        """Say what is being done, unless the last Beat was sent just before."""
        now = time.monotonic()
        if now - self._last >= _BEAT_SECONDS:
            self._last = now
            protocol.write_all(self._descriptor, protocol.frame(Beat(doing, self.figures())))


def main() -> None:
    """Serve one parent until it closes its end of the pipe."""
    source, target, model, parent = (int(text) for text in sys.argv[1:5])
    # Also without layers on a GPU: a llama.cpp that was built for one multiplies large batches there all the same.
    confinement = confine.confine(confine.Profile(reads=(model,), gpu=True))
    confine.die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent as well, which ends this process
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        _serve(source, target, confinement)
    except PublisherError as error:
        protocol.write_all(target, protocol.frame(Failed(error.message, error.hint, error.detail)))
        sys.exit(3)


def _serve(source: int, target: int, confinement: Confinement) -> None:
    """Load the model once, then answer every Generate."""
    from publisher.engine.child.engine import Engine  # noqa: PLC0415 - after the process has been confined

    heartbeat = Heartbeat(target)
    reader = FrameReader(protocol.FromParent)
    engine: Engine | None = None
    while data := os.read(source, 1 << 16):
        for message in reader.feed(data):
            if isinstance(message, Load):
                engine = Engine(protocol.options_from_plain(message.options), message.model, heartbeat, confinement)
                heartbeat.figures = engine.statistics
                protocol.write_all(target, protocol.frame(Loaded(engine.facts, engine.identity)))
            elif isinstance(message, Reprompt) and engine is not None:
                engine.reprompt(message.system, message.template, message.stop)
            elif isinstance(message, Generate) and engine is not None:
                for completion in engine.generate(message.requests):
                    protocol.write_all(target, protocol.frame(Answer(completion)))
                protocol.write_all(target, protocol.frame(Finished(engine.statistics())))


if __name__ == "__main__":
    main()

"""The child's half of `workers`: a process that answers questions from its standard input, within limits, confined.

The limits are the kernel's, because neither a library written in C nor a regular expression looks at a flag of ours.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from publisher import confine

if TYPE_CHECKING:
    from collections.abc import Callable

OUT_OF_MEMORY = 77
"""The exit code of a process whose question needed more memory than it has."""
_MEMORY = 2 << 30


def serve(answer: Callable[[Any], object]) -> None:
    """Answer each line of JSON on standard input with a line on standard output, until the input ends.

    Each question has the seconds of processor time that the command line names; one that takes more ends the process
    by SIGPROF, whose default action nothing here changes. An exception of `answer` ends it as well.
    """
    seconds = float(sys.argv[1])
    # What the parent ignores or blocks would stay so here, and then no processor time would ever be too much.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    parent = os.getppid()
    confine.confine()
    confine.die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    answers.write(msgspec.json.encode("ready") + b"\n")
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            said = answer(msgspec.json.decode(line))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # nothing can be relied on once an allocation has failed somewhere inside
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(msgspec.json.encode(said) + b"\n")

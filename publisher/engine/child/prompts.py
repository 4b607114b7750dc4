"""Turns a problem into the text that a model reads: the prompt template first, then the model's own chat template.

A chat template is code that came with a model file. It runs in the engine's confined process, in Jinja's immutable
sandbox with the settings that Hugging Face uses (so that published templates render alike), within limits of time and
memory.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from publisher.engine.protocol import TEMPLATE_HINT, TEMPLATE_SECONDS
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

MEMORY = 512 << 20
"""Bytes of address space that rendering may add."""
MAX_PROMPT = 16 << 20
"""Characters that a prompt may have."""
_GRACE = 0.5
"""Seconds after which a template is stopped that did not stop by itself."""


class _TimeUpError(Exception):
    """The time limit was reached while Python code of a template was running."""


class Prompts:
    """Renders problems with one chat template, one system prompt and one prompt template."""

    def __init__(
        self,
        chat_template: str,
        *,
        system: str,
        template: str,
        bos: str = "",
        eos: str = "",
        seconds: float = TEMPLATE_SECONDS,
    ) -> None:
        """Compile the chat template and render a trial problem, so that a broken one fails before any work is done.

        Each prompt may take `seconds` of processor time. Raises ModelError when the template is missing, is not Jinja,
        rejects the roles, or exceeds a limit.
        """
        if not chat_template.strip():
            raise ModelError(
                "the model has no chat template (tokenizer.chat_template)",
                hint="choose an instruction-tuned GGUF, or add the template with gguf-new-metadata --chat-template",
            )
        self._system, self._template, self._seconds = system, template, seconds
        self._tokens = {"bos_token": bos, "eos_token": eos}
        with _limited("compiled", seconds):
            self._chat = _environment().from_string(chat_template)
        self.render("1")

    def render(self, problem: str) -> str:
        """Return the whole prompt for `problem`, up to where the model's answer begins."""
        messages = [{"role": "system", "content": self._system}] if self._system else []
        messages.append({"role": "user", "content": self._template.replace("{problem}", problem)})
        with _limited("rendered", self._seconds):
            text = self._chat.render(messages=messages, add_generation_prompt=True, **self._tokens)
        if len(text) > MAX_PROMPT:
            raise ModelError(f"the chat template made a prompt of {len(text)} characters", hint=TEMPLATE_HINT)
        return text


def _environment() -> ImmutableSandboxedEnvironment:
    """Return the sandbox. It has no clock: a prompt must not depend on the day."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[jinja2.ext.loopcontrols],
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.filters["tojson"] = _tojson
    return environment


def _raise_exception(message: object) -> NoReturn:
    """Let a template reject its input, as Hugging Face's templates do."""
    raise jinja2.TemplateError(str(message))


def _tojson(value: Any, indent: int | None = None) -> str:
    """Return JSON without HTML escapes, as Hugging Face's templates expect."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


@contextlib.contextmanager
def _limited(what: str, seconds: float) -> Iterator[None]:
    """Turn everything that a template can do wrong into a ModelError, exceeding a limit included."""
    try:
        with _processor_time(seconds), _address_space(MEMORY):
            yield
    except _TimeUpError as error:
        raise ModelError(
            f"the chat template could not be {what} within {seconds:g} seconds", hint=TEMPLATE_HINT
        ) from error
    except MemoryError as error:
        raise ModelError(
            f"the chat template could not be {what}: it needs too much memory", hint=TEMPLATE_HINT
        ) from error
    except Exception as error:  # a template can raise any exception
        kind = type(error).__name__
        raise ModelError(
            f"the chat template could not be {what}: {kind}: {str(error)[:500]}", hint=TEMPLATE_HINT
        ) from error


@contextlib.contextmanager
def _processor_time(seconds: float) -> Iterator[None]:
    """Raise _TimeUpError in the block after `seconds` of processor time; call it in the main thread.

    Python runs a signal's handler between two steps of its interpreter, and a single step can take hours: a power of
    large numbers, say, or a comparison of deeply nested lists. SIGPROF has no handler here, so that the kernel ends the
    process; the parent tells the user why. Processor time, not wall-clock time: a busy machine is no fault of a
    template.
    """

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUpError

    handlers = {number: signal.getsignal(number) for number in (signal.SIGVTALRM, signal.SIGPROF)}
    signal.signal(signal.SIGVTALRM, ring)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, seconds + _GRACE)
    try:
        yield
    finally:
        # Both timers before any handler: a late signal must still meet the handler that expects it.
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _address_space(extra: int) -> Iterator[None]:
    """Let the process grow by at most `extra` bytes of address space in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 - a pseudo-file
        now = int(stream.read().split()[0]) * resource.getpagesize()
    limit = now + extra if hard == resource.RLIM_INFINITY else min(now + extra, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

"""A problem to the text that a model reads: the prompt template, then the model's own chat template.

A chat template is code that came with a model file. It runs in Jinja's immutable sandbox, set up as Hugging Face sets
up its own (so that published templates render alike), in the engine's child process, with a limit on time and memory.
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

from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SECONDS = 5.0
"""How long one prompt may take to render."""
MEMORY = 512 << 20
"""How many bytes of address space rendering may add."""
MAX_PROMPT = 16 << 20
"""Characters of the longest prompt that is believed."""

_PIN = "use a model file whose own chat template renders, or correct tokenizer.chat_template in it"


class _TimeUpError(Exception):
    """The alarm rang while a template was running."""


class Prompts:
    """Renders problems with one chat template, one system prompt and one prompt template."""

    def __init__(self, chat_template: str, *, system: str, template: str, bos: str = "", eos: str = "") -> None:
        """Compile the chat template and render a trial problem, so that a broken one fails before any work is done.

        Raises ModelError when the template is missing, is not Jinja, refuses the roles, or takes too long.
        """
        if not chat_template.strip():
            raise ModelError(
                "the model has no chat template (tokenizer.chat_template)",
                hint="choose an instruction-tuned GGUF, or add the template with gguf-new-metadata --chat-template",
            )
        self._system, self._template = system, template
        self._tokens = {"bos_token": bos, "eos_token": eos}
        with _limited("compiled"):
            self._chat = _environment().from_string(chat_template)
        self.render("1")

    def render(self, problem: str) -> str:
        """Return the whole prompt for `problem`, up to where the model's answer begins."""
        messages = [{"role": "system", "content": self._system}] if self._system else []
        messages.append({"role": "user", "content": self._template.replace("{problem}", problem)})
        with _limited("rendered"):
            text = self._chat.render(messages=messages, add_generation_prompt=True, **self._tokens)
        if len(text) > MAX_PROMPT:
            raise ModelError(f"the chat template made a prompt of {len(text)} characters", hint=_PIN)
        return text


def _environment() -> ImmutableSandboxedEnvironment:
    """Return the sandbox; the clock is left out of it, for a prompt must not depend on the day."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[jinja2.ext.loopcontrols],
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.filters["tojson"] = _tojson
    return environment


def _raise_exception(message: object) -> NoReturn:
    """Let a template refuse its input, as Hugging Face's templates do."""
    raise jinja2.TemplateError(str(message))


def _tojson(value: Any, indent: int | None = None) -> str:
    """Return JSON without HTML escapes, as Hugging Face's templates expect."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


@contextlib.contextmanager
def _limited(what: str) -> Iterator[None]:
    """Turn everything that a template can do wrong into a ModelError, running out of time and memory included."""
    try:
        with _alarm(SECONDS), _address_space(MEMORY):
            yield
    except _TimeUpError as error:
        raise ModelError(f"the chat template could not be {what} within {SECONDS:g} seconds", hint=_PIN) from error
    except MemoryError as error:
        raise ModelError(f"the chat template could not be {what}: it wants too much memory", hint=_PIN) from error
    except Exception as error:  # anything may come out of somebody else's template
        kind = type(error).__name__
        raise ModelError(f"the chat template could not be {what}: {kind}: {str(error)[:500]}", hint=_PIN) from error


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TimeUpError in the block after `seconds`; only the main thread can be interrupted like this."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUpError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _address_space(extra: int) -> Iterator[None]:
    """Let the process grow by `extra` bytes within the block, no further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 - a pseudo-file
        now = int(stream.read().split()[0]) * resource.getpagesize()
    limit = now + extra if hard == resource.RLIM_INFINITY else min(now + extra, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
